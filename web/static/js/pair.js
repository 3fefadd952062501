/* Two visits of a lesion side by side: they zoom and move together, and one choice of class switches both heatmaps. */
const pair = document.getElementById('pair');
const zoom = document.getElementById('zoom');
const output = document.getElementById('zoom-out');
const heat = document.getElementById('heat');
const panes = [...pair.querySelectorAll('.photo-in')];
const fingers = new Map();
let x = 0;
let y = 0;

// Both panes are of one size, so that one shift in percent puts the same part of each picture under the cross.
const place = () => {
  const scale = zoom.value / 100;
  const limit = (scale - 1) * 50;
  x = Math.max(-limit, Math.min(limit, x));
  y = Math.max(-limit, Math.min(limit, y));
  for (const pane of panes) pane.style.transform = `translate(${x}%, ${y}%) scale(${scale})`;
  pair.toggleAttribute('data-zoomed', scale > 1);
  output.value = `${scale.toFixed(1)}×`;
};
const zoomTo = value => {
  const before = zoom.value;
  zoom.value = value;
  x *= zoom.value / before;
  y *= zoom.value / before;
  place();
};
const spread = () => {
  const [a, b] = [...fingers.values()];
  return Math.hypot(a.clientX - b.clientX, a.clientY - b.clientY);
};

let last = zoom.value;
zoom.addEventListener('input', () => {
  x *= zoom.value / last;
  y *= zoom.value / last;
  place();
  last = zoom.value;
});
pair.addEventListener('wheel', event => {
  if (!event.target.closest('.photo')) return;
  if (zoom.value === zoom.min && event.deltaY > 0) return;
  event.preventDefault();
  zoomTo(zoom.value * (event.deltaY < 0 ? 1.1 : 1 / 1.1));
  last = zoom.value;
}, { passive: false });
for (const photo of pair.querySelectorAll('.photo')) {
  photo.addEventListener('pointerdown', event => {
    fingers.set(event.pointerId, event);
    photo.setPointerCapture(event.pointerId);
  });
  photo.addEventListener('pointermove', event => {
    const before = fingers.get(event.pointerId);
    if (!before) return;
    if (fingers.size === 2) {
      const was = spread();
      fingers.set(event.pointerId, event);
      zoomTo(zoom.value * spread() / was);
      last = zoom.value;
      return;
    }
    fingers.set(event.pointerId, event);
    x += (event.clientX - before.clientX) / photo.clientWidth * 100;
    y += (event.clientY - before.clientY) / photo.clientHeight * 100;
    place();
  });
  for (const end of ['pointerup', 'pointercancel']) {
    photo.addEventListener(end, event => fingers.delete(event.pointerId));
  }
}
// The slider's own arrow keys zoom; with Shift they move.
zoom.addEventListener('keydown', event => {
  const step = { ArrowLeft: [5, 0], ArrowRight: [-5, 0], ArrowUp: [0, 5], ArrowDown: [0, -5] }[event.key];
  if (!step || !event.shiftKey) return;
  event.preventDefault();
  x += step[0];
  y += step[1];
  place();
});

// The heatmaps: one class on both, or none -----------------------------------------------------------------------------
const chips = [...document.querySelectorAll('#pair-classes a')];
const readings = [...pair.querySelectorAll('.reading')];
const wanted = document.querySelector('#pair-form [name="class"]');

const mapIn = pane => {
  const known = pane.querySelector('.map');
  if (known) return known;
  const map = pane.querySelector('img').cloneNode();
  map.className = 'map';
  map.removeAttribute('src');
  pane.append(map);
  return map;
};

const paint = () => {
  const chip = chips.find(one => one.hasAttribute('aria-current'));
  panes.forEach((pane, index) => {
    const src = chip.getAttribute(`data-src-${index + 1}`);
    readings[index].textContent = chip.getAttribute(`data-reading-${index + 1}`);
    if (src) {
      const map = mapIn(pane);
      map.alt = `Heatmap for ${chip.dataset.name}`;
      if (map.getAttribute('src') !== src) map.src = src;
    }
    const map = pane.querySelector('.map');
    if (map) map.hidden = !src || heat.getAttribute('aria-pressed') !== 'true';
  });
};

const choose = chip => {
  for (const one of chips) one.removeAttribute('aria-current');
  chip.setAttribute('aria-current', 'true');
  if (chip.dataset.code !== 'none') press(true);
  if (wanted) wanted.value = chip.dataset.code;
  paint();
  const address = new URL(location.href);
  address.searchParams.set('class', chip.dataset.code);
  history.replaceState(null, '', address);
};

const press = on => {
  heat.setAttribute('aria-pressed', on);
  heat.textContent = on ? 'Heatmaps on' : 'Heatmaps off';
};

for (const chip of chips) {
  chip.addEventListener('click', event => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    choose(chip);
  });
}
heat?.addEventListener('click', () => {
  press(heat.getAttribute('aria-pressed') !== 'true');
  paint();
});
place();

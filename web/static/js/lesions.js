/* Lesions: two photographs that zoom and move together, and a body on which a place can be clicked. */

// Two visits side by side -------------------------------------------------------------------------------------------
const pair = document.getElementById('pair');
if (pair) {
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

  const maps = pair.querySelectorAll('.map');
  heat.hidden = maps.length === 0;
  heat.addEventListener('click', () => {
    const on = heat.getAttribute('aria-pressed') !== 'true';
    heat.setAttribute('aria-pressed', on);
    heat.textContent = on ? 'Heatmaps on' : 'Heatmaps off';
    for (const map of maps) map.hidden = !on;
  });
  place();
}

// The drawn body ----------------------------------------------------------------------------------------------------
const map = document.querySelector('.split-form #bodymap');
if (map) {
  const point = document.getElementById('point');
  const told = document.getElementById('chosen-place');
  const radios = [...document.querySelectorAll('input[name="place"]')];
  const svgs = [...map.querySelectorAll('svg')];
  const [left, top, width, height] = svgs[0].getAttribute('viewBox').split(' ').map(Number);
  const circle = (name, r) => {
    const made = document.createElementNS('http://www.w3.org/2000/svg', 'circle');
    made.setAttribute('class', name);
    made.setAttribute('r', r);
    return made;
  };
  const marks = [circle('body-halo', 9), circle('body-pin', 5)];

  const show = () => {
    const radio = radios.find(one => one.checked);
    for (const region of map.querySelectorAll('.body-region')) {
      region.toggleAttribute('data-chosen', region.dataset.region === radio.value);
    }
    for (const mark of marks) mark.remove();
    told.textContent = radio.value ? radio.parentElement.textContent.trim() : 'No place chosen';
    if (!radio.value) return;
    const [x, y] = point.value
      ? point.value.split(',').map((share, index) => (index ? top + share * height : left + share * width))
      : radio.dataset.pin.split(',').map(Number);
    const svg = map.querySelector(`[data-region="${radio.value}"]`).closest('svg');
    for (const mark of marks) {
      mark.setAttribute('cx', x);
      mark.setAttribute('cy', y);
      svg.append(mark);
    }
  };

  for (const region of map.querySelectorAll('.body-region')) {
    region.addEventListener('click', event => {
      const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(region.getScreenCTM().inverse());
      radios.find(radio => radio.value === region.dataset.region).checked = true;
      point.value = `${((at.x - left) / width).toFixed(4)},${((at.y - top) / height).toFixed(4)}`;
      show();
    });
  }
  for (const radio of radios) {
    radio.addEventListener('change', () => {
      point.value = '';
      show();
    });
  }
  show();
}

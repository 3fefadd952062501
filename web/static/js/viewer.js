/* The photograph with its heatmap: how strong it lies over the picture, and which class it explains. */
const frame = document.getElementById('photo');
const slider = document.getElementById('opacity');
const output = document.getElementById('opacity-out');
const chips = [...document.querySelectorAll('#classes a')];
const maps = new Map();

// Heatmaps that were fetched stay in the page, so that going back and forth between classes is instant.
const mapOf = ({ code, name, src }) => {
  if (!maps.has(code)) {
    const map = frame.querySelector('.map')?.cloneNode() ?? new Image();
    Object.assign(map, { className: 'map', hidden: true, src, alt: `Heatmap for ${name}` });
    map.dataset.code = code;
    frame.append(map);
    maps.set(code, map);
    paint();
  }
  return maps.get(code);
};

const paint = () => {
  for (const map of maps.values()) map.style.opacity = slider.value / 100;
  output.value = `${slider.value}%`;
};

const show = chip => {
  const { code, name, src } = chip.dataset;
  for (const one of chips) {
    if (one === chip) one.setAttribute('aria-current', 'true');
    else one.removeAttribute('aria-current');
  }
  const shown = src ? mapOf(chip.dataset) : null;
  for (const map of maps.values()) map.hidden = map !== shown;
  slider.disabled = !shown;
  document.getElementById('explained').textContent = shown ? `What speaks for ${name}` : 'The photograph alone';
  const address = new URL(location.href);
  address.searchParams.set('class', code);
  history.replaceState(null, '', address);
};

for (const map of frame.querySelectorAll('.map')) maps.set(map.dataset.code, map);
slider.addEventListener('input', paint);
for (const chip of chips) {
  chip.addEventListener('click', event => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    show(chip);
  });
  chip.addEventListener('pointerenter', () => { if (chip.dataset.src) mapOf(chip.dataset); });
}
paint();

/* Lesions: a drawn body on which a place can be clicked. */

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

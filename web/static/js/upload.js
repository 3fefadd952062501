/* Choosing a photograph: drop it, paste it, choose it or take it; see it before it is sent. */
const form = document.getElementById('upload');
const drop = document.getElementById('drop');
const inputs = [document.getElementById('picture'), document.getElementById('camera')];
const preview = document.getElementById('preview');
const send = document.getElementById('send');
const hint = document.getElementById('send-hint');
const problem = document.getElementById('problem');
const limit = Number(form.dataset.limit);
const waiting = hint.textContent;
let address = null;

const size = bytes => (bytes < 1e6 ? `${Math.max(1, Math.round(bytes / 1e3))} kB` : `${(bytes / 1e6).toFixed(1)} MB`);

const complain = text => {
  problem.querySelector('.problem-text').textContent = text;
  problem.hidden = text === '';
};

const clear = () => {
  for (const input of inputs) input.value = '';
  if (address) URL.revokeObjectURL(address);
  address = null;
  drop.removeAttribute('data-chosen');
  send.disabled = true;
  hint.textContent = waiting;
};

const choose = (file, input) => {
  clearOthers(input);
  complain('');
  if (!file) return clear();
  if (file.size > limit) {
    clear();
    return complain(`This file has ${size(file.size)}; at most ${size(limit)} can be sent. Save it as JPEG, or at half the size.`);
  }
  if (file.size === 0) {
    clear();
    return complain('This file is empty. Copy it again from the camera.');
  }
  if (address) URL.revokeObjectURL(address);
  address = URL.createObjectURL(file);
  preview.src = address;
  document.getElementById('chosen-name').textContent = file.name || 'Pasted picture';
  document.getElementById('chosen-size').textContent = size(file.size);
  drop.setAttribute('data-chosen', '');
  send.disabled = false;
  hint.textContent = 'Ready to send.';
  send.focus({ preventScroll: true });
  send.scrollIntoView({ block: 'nearest' });
};

const clearOthers = kept => {
  for (const input of inputs) if (input !== kept) input.value = '';
};

const take = files => {
  if (!files.length) return;
  if (files.length > 1) return complain('One picture at a time: drop a single file.');
  const carried = new DataTransfer();
  carried.items.add(files[0]);
  inputs[0].files = carried.files;
  choose(files[0], inputs[0]);
};

for (const input of inputs) input.addEventListener('change', () => choose(input.files[0], input));
preview.addEventListener('error', () => drop.setAttribute('data-unseen', ''));
preview.addEventListener('load', () => drop.removeAttribute('data-unseen'));
document.getElementById('choose-again').addEventListener('click', () => {
  clear();
  inputs[0].click();
});

for (const kind of ['dragenter', 'dragover', 'dragleave', 'drop']) {
  document.addEventListener(kind, event => {
    if (!event.dataTransfer?.types.includes('Files')) return;
    event.preventDefault();
    const over = kind === 'dragover' || kind === 'dragenter';
    drop.toggleAttribute('data-over', over);
    if (kind === 'drop') take(event.dataTransfer.files);
  });
}
document.addEventListener('paste', event => {
  if (event.clipboardData?.files.length) take(event.clipboardData.files);
});

form.addEventListener('submit', () => {
  send.setAttribute('aria-disabled', 'true');
  hint.textContent = 'Sending the picture, then reading it. This takes a few seconds.';
});
addEventListener('pageshow', () => {
  send.removeAttribute('aria-disabled');
  const input = inputs.find(one => one.files.length);
  if (input) choose(input.files[0], input);
  else clear();
});

/* Choosing a batch: drop a folder, choose files or a zip; see how much it is; send it with its progress shown. */
const form = document.getElementById('batch-form');
const drop = document.getElementById('drop');
const inputs = [document.getElementById('files'), document.getElementById('folder')];
const send = document.getElementById('send');
const hint = document.getElementById('send-hint');
const bar = document.getElementById('sending');
const problem = document.getElementById('problem');
const most = { files: Number(form.dataset.files), bytes: Number(form.dataset.bytes) };
const waiting = hint.textContent;
let chosen = [];

const size = bytes => (bytes < 1e6 ? `${Math.max(1, Math.round(bytes / 1e3))} kB` : `${(bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0)} MB`);
const isJunk = path => path.split('/').some(part => part.startsWith('.') || /^(thumbs\.db|desktop\.ini|__macosx)$/i.test(part));

const complain = text => {
  problem.querySelector('.problem-text').textContent = text;
  problem.hidden = text === '';
  if (text) problem.scrollIntoView({ block: 'nearest' });
};

const clear = () => {
  for (const input of inputs) input.value = '';
  chosen = [];
  drop.removeAttribute('data-chosen');
  send.disabled = true;
  hint.textContent = waiting;
};

const choose = files => {
  complain('');
  chosen = files.filter(({ path }) => !isJunk(path));
  const bytes = chosen.reduce((sum, { file }) => sum + file.size, 0);
  if (!chosen.length) return clear();
  if (chosen.length > most.files) {
    clear();
    return complain(`These are ${files.length.toLocaleString('en')} files; a batch takes ${most.files} at most. Send them in parts.`);
  }
  if (bytes > most.bytes) {
    clear();
    return complain(`Together these files have ${size(bytes)}; a batch takes ${size(most.bytes)} at most. Send them in parts.`);
  }
  document.getElementById('chosen-name').textContent = chosen.length === 1 ? chosen[0].path : `${chosen.length} files`;
  document.getElementById('chosen-size').textContent = size(bytes);
  drop.setAttribute('data-chosen', '');
  send.disabled = false;
  hint.textContent = 'Ready to send.';
  send.focus({ preventScroll: true });
};

const fromInput = input => choose([...input.files].map(file => ({ file, path: file.webkitRelativePath || file.name })));

// A dropped folder is walked through; a browser gives at most a hundred entries at a time.
const walk = async (entry, found) => {
  if (found.length > most.files) return;
  if (entry.isFile) {
    const file = await new Promise((resolve, reject) => entry.file(resolve, reject));
    found.push({ file, path: entry.fullPath.replace(/^\//, '') });
    return;
  }
  const reader = entry.createReader();
  for (;;) {
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!some.length) return;
    for (const inner of some) await walk(inner, found);
  }
};

const take = async transfer => {
  const entries = [...transfer.items].map(item => item.webkitGetAsEntry?.()).filter(Boolean);
  const found = [];
  try {
    for (const entry of entries) await walk(entry, found);
  } catch {
    return complain('This folder could not be read. Choose it with the button instead.');
  }
  for (const input of inputs) input.value = '';
  choose(found);
};

for (const input of inputs) {
  input.addEventListener('change', () => {
    for (const other of inputs) if (other !== input) other.value = '';
    fromInput(input);
  });
}
document.getElementById('choose-again').addEventListener('click', clear);

for (const kind of ['dragenter', 'dragover', 'dragleave', 'drop']) {
  document.addEventListener(kind, event => {
    if (!event.dataTransfer?.types.includes('Files')) return;
    event.preventDefault();
    drop.toggleAttribute('data-over', kind === 'dragover' || kind === 'dragenter');
    if (kind === 'drop') take(event.dataTransfer);
  });
}

const stop = text => {
  bar.hidden = true;
  delete form.dataset.busy;
  send.removeAttribute('aria-disabled');
  hint.textContent = 'Ready to send.';
  complain(text);
};

form.addEventListener('submit', event => {
  event.preventDefault();
  if (send.hasAttribute('aria-disabled') || !chosen.length) return;
  send.setAttribute('aria-disabled', 'true');
  complain('');
  const sent = new FormData();
  for (const name of ['csrf_token', 'name']) sent.append(name, form.elements[name].value);
  for (const { file, path } of chosen) sent.append('files', file, path);
  const request = new XMLHttpRequest();
  request.open('POST', form.action);
  request.responseType = 'document';
  request.upload.addEventListener('progress', ({ loaded, total }) => {
    bar.hidden = false;
    bar.value = 100 * loaded / total;
    hint.textContent = loaded < total ? `Sending: ${size(loaded)} of ${size(total)}. Keep this page open.` : 'Storing the files.';
  });
  request.addEventListener('load', () => {
    if (request.status === 200) return location.assign(request.responseURL);
    const page = request.response;
    const told = page?.querySelector('.problem-text')?.textContent || page?.querySelector('.empty h1')?.textContent;
    stop(told?.trim() || 'The batch did not arrive. Try again.');
  });
  request.addEventListener('error', () => stop('The connection broke, and nothing was stored. Send the batch again.'));
  request.send(sent);
});

addEventListener('pageshow', () => {
  send.removeAttribute('aria-disabled');
  const input = inputs.find(one => one.files.length);
  if (input) fromInput(input);
  else clear();
});

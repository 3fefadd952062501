/* Small helps on every page. Each does nothing where its elements are not there. */

// Light or dark, by hand.
document.getElementById('theme')?.addEventListener('click', () => {
  const root = document.documentElement;
  const system = matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light';
  root.dataset.theme = (root.dataset.theme ?? system) === 'dark' ? 'light' : 'dark';
  try {
    localStorage.setItem('theme', root.dataset.theme);
  } catch {
    // It holds for this page only.
  }
});

// Times in the reader's own zone.
const written = new Intl.DateTimeFormat('en-GB', {
  day: 'numeric', month: 'short', year: 'numeric', hour: '2-digit', minute: '2-digit', hourCycle: 'h23',
});
for (const time of document.querySelectorAll('time[datetime]')) {
  const part = Object.fromEntries(written.formatToParts(new Date(time.dateTime)).map(({ type, value }) => [type, value]));
  const date = `${part.day} ${part.month.slice(0, 3)} ${part.year}`;
  const clock = `${part.hour}:${part.minute}`;
  time.textContent = { date, clock }[time.dataset.part] ?? `${date}, ${clock}`;
}

// A link to a page that asks again opens that question here instead.
for (const link of document.querySelectorAll('[data-opens]')) {
  const dialog = document.getElementById(link.dataset.opens);
  link.addEventListener('click', event => {
    event.preventDefault();
    dialog.showModal();
  });
  dialog.querySelector('[data-closes]').addEventListener('click', event => {
    event.preventDefault();
    dialog.close();
  });
}

// The password, readable for a moment.
for (const button of document.querySelectorAll('[data-reveals]')) {
  const field = document.getElementById(button.dataset.reveals);
  button.addEventListener('click', () => {
    const hidden = field.type === 'password';
    field.type = hidden ? 'text' : 'password';
    button.textContent = hidden ? 'Hide' : 'Show';
  });
}

// What is shown once, copied by a button.
for (const button of document.querySelectorAll('[data-copies]')) {
  const field = document.getElementById(button.dataset.copies);
  button.addEventListener('click', async () => {
    field.select();
    try {
      await navigator.clipboard.writeText(field.value);
      button.textContent = 'Copied';
    } catch {
      // It is selected: the reader copies it by hand.
    }
  });
}

// A form that was sent is not sent twice; a page that comes back from the browser's memory is fresh again.
for (const form of document.querySelectorAll('form[method="post"]')) {
  form.addEventListener('submit', event => {
    if (event.submitter?.dataset.downloads !== undefined) return; // the page stays as it is
    if (form.dataset.busy !== undefined) event.preventDefault();
    form.dataset.busy = '';
  });
}
addEventListener('pageshow', () => {
  for (const form of document.querySelectorAll('[data-busy]')) delete form.dataset.busy;
});

// An open menu closes by Escape and by a click elsewhere.
for (const menu of document.querySelectorAll('details.menu')) {
  menu.addEventListener('keydown', event => {
    if (event.key !== 'Escape') return;
    menu.open = false;
    menu.querySelector('summary').focus();
  });
  document.addEventListener('click', event => {
    if (!menu.contains(event.target)) menu.open = false;
  });
}

// A message that needs no answer goes away by itself, or at once.
for (const toast of document.querySelectorAll('.toast')) {
  const close = () => toast.remove();
  toast.querySelector('button').addEventListener('click', close);
  let timer = setTimeout(close, 8000);
  toast.addEventListener('pointerenter', () => clearTimeout(timer));
  toast.addEventListener('pointerleave', () => { timer = setTimeout(close, 4000); });
}

document.getElementById('print')?.addEventListener('click', () => print());

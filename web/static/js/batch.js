/* A batch that is being answered: its figures every moment, its table now and then, and the whole page at the end. */
const running = document.getElementById('running');
const SECONDS_BETWEEN_FIGURES = 1.5;
const SECONDS_BETWEEN_TABLES = 6;
let shown = performance.now();
let done = 0;

const fresh = async () => {
  const response = await fetch(location.href, { headers: { Accept: 'text/html' } });
  if (!response.ok || response.redirected) return;
  const page = new DOMParser().parseFromString(await response.text(), 'text/html');
  const results = page.getElementById('results');
  // What somebody is reading by keyboard stays under their focus.
  if (results && !document.getElementById('results').contains(document.activeElement)) {
    document.getElementById('results').replaceWith(document.adoptNode(results));
  }
};

const look = async () => {
  let figures;
  try {
    const response = await fetch(running.dataset.progress, { headers: { Accept: 'application/json' } });
    if (response.redirected || response.status === 404) return location.reload();
    figures = await response.json();
  } catch {
    document.getElementById('left').textContent = 'The server does not answer at the moment. Looking again.';
    return setTimeout(look, 5000);
  }
  if (!figures.waiting || figures.state !== running.dataset.state) return location.reload();
  for (const place of document.querySelectorAll('[data-count]')) place.textContent = figures[place.dataset.count];
  const bar = document.getElementById('bar');
  bar.value = figures.done;
  bar.textContent = `${figures.done} of ${figures.total}`;
  document.getElementById('left').textContent = figures.standing;
  if (figures.done !== done && performance.now() - shown > 1000 * SECONDS_BETWEEN_TABLES) {
    shown = performance.now();
    done = figures.done;
    await fresh().catch(() => {});
  }
  setTimeout(look, 1000 * SECONDS_BETWEEN_FIGURES);
};

if (running) setTimeout(look, 1000 * SECONDS_BETWEEN_FIGURES);

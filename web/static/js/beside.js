/* What stands beside an answer and is fetched when it is asked for: a link that brings a part of its page into this one. */

/** Says that a heatmap is being made, and where it could not be. */
const watch = figure => {
  const map = figure?.querySelector('.map');
  if (!map) return;
  figure.dataset.busy = '';
  // Whether it came is asked of the picture itself: it may have come, or failed, before this runs.
  map.decode().catch(() => {
    map.remove();
    figure.querySelector('.not-made').hidden = false;
  }).finally(() => { delete figure.dataset.busy; });
};

const bring = async link => {
  const name = link.dataset.brings;
  const part = document.getElementById(name);
  // The class that is looked at now, not the one that the page came with.
  const address = new URL(link.href);
  const looked = new URL(location.href).searchParams.get('class');
  if (looked && looked !== 'none' && address.searchParams.has('class')) address.searchParams.set('class', looked);
  link.dataset.busy = '';
  try {
    const response = await fetch(address);
    const page = new DOMParser().parseFromString(await response.text(), 'text/html');
    const fresh = document.adoptNode(page.getElementById(name));
    part.replaceWith(fresh);
    watch(fresh.querySelector('.viewer-other'));
    (fresh.querySelector('[aria-current]') ?? fresh.querySelector('h2')).focus({ preventScroll: true });
  } catch {
    // What came instead, such as the sign-in page or why it cannot be done now, is shown as the page it is.
    location.assign(address);
  }
};

document.addEventListener('click', event => {
  const link = event.target.closest('a[data-brings]');
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  if (link.dataset.busy === undefined) bring(link);
});

watch(document.querySelector('.viewer-other'));

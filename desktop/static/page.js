/* Small helps on the app's page. They listen on the document, because Gradio draws and redraws what they act on. */
(() => {
  const find = selector => document.querySelector(selector);

  // Light or dark: the system's choice until the button is used.
  const paint = dark => document.body.classList.toggle('dark', dark);
  const chosen = () => {
    try {
      return localStorage.getItem('dermatrace-theme');
    } catch {
      return null; // It holds for this page only.
    }
  };
  const repaint = () => {
    const theme = chosen();
    if (theme && document.body.classList.contains('dark') !== (theme === 'dark')) paint(theme === 'dark');
  };
  const toggleTheme = () => {
    const dark = !document.body.classList.contains('dark');
    try {
      localStorage.setItem('dermatrace-theme', dark ? 'dark' : 'light');
    } catch {
      // As above.
    }
    paint(dark);
  };

  // The heatmap: how strong it lies over the picture, and which class it explains.
  const fade = slider => {
    document.documentElement.style.setProperty('--heatmap-opacity', slider.value / 100);
    find('#opacity-out').value = `${slider.value}%`;
  };
  const explain = chip => {
    for (const one of document.querySelectorAll('.viewer-controls .chip')) one.setAttribute('aria-pressed', one === chip);
    for (const map of document.querySelectorAll('.photo .map')) map.toggleAttribute('hidden', map.dataset.code !== chip.dataset.code);
    find('#explained').textContent = chip.dataset.code ? `What speaks for ${chip.dataset.name}` : 'The photograph alone';
  };
  document.addEventListener('input', event => {
    if (event.target.id === 'opacity') fade(event.target);
  });
  document.addEventListener('click', event => {
    const chip = event.target.closest?.('.viewer-controls .chip');
    if (chip) explain(chip);
    else if (event.target.closest?.('#theme')) toggleTheme();
  });

  // A page of the app's own, such as a report, over this one. Its scripts run in a frame that can reach nothing here.
  const showPage = async link => {
    const answer = await fetch(link.href);
    if (!answer.ok) return;
    const dark = document.body.classList.contains('dark');
    const dialog = document.createElement('dialog');
    dialog.className = 'derm page-over';
    const head = dialog.appendChild(document.createElement('div'));
    head.className = 'page-over-head';
    head.appendChild(document.createElement('h2')).textContent = link.dataset.page;
    const close = head.appendChild(document.createElement('button'));
    close.className = 'button';
    close.type = 'button';
    close.textContent = link.dataset.close;
    const frame = dialog.appendChild(document.createElement('iframe'));
    frame.title = link.dataset.page;
    frame.setAttribute('sandbox', 'allow-scripts');
    frame.style.colorScheme = dark ? 'dark' : 'light';
    frame.srcdoc = (await answer.text()).replace('<html ', `<html data-theme="${dark ? 'dark' : 'light'}" `);
    dialog.setAttribute('aria-label', link.dataset.page);
    close.addEventListener('click', () => dialog.close());
    dialog.addEventListener('close', () => dialog.remove());
    (find('.gradio-container') || document.body).append(dialog);
    dialog.showModal();
  };

  // A file to take along, or a page to show: its link is pressed where it is another than the last one.
  const taken = new Map();
  window.takeAlong = (id, tries = 40) => {
    const link = find(`#${id} a`);
    if (link && taken.get(id) !== link.href) {
      taken.set(id, link.href);
      if (link.dataset.page) showPage(link);
      else link.click();
    } else if (tries) setTimeout(window.takeAlong, 50, id, tries - 1);
  };

  // A picture may be pasted or dropped anywhere, also while an answer is shown.
  const hand = file => {
    const input = find('#picture input[type="file"]');
    if (!input || !file) return;
    const carried = new DataTransfer();
    carried.items.add(file);
    input.files = carried.files;
    input.dispatchEvent(new Event('change', { bubbles: true }));
  };
  document.addEventListener('paste', event => hand(event.clipboardData?.files[0]));
  document.addEventListener('dragover', event => {
    if (event.dataTransfer?.types.includes('Files')) event.preventDefault();
  });
  document.addEventListener('drop', event => {
    if (event.defaultPrevented || !event.dataTransfer?.files.length) return;
    event.preventDefault();
    hand(event.dataTransfer.files[0]);
  });

  // A new answer is read from its top, by eyes and by screen readers.
  let seen = null;
  const greet = () => {
    const advice = find('#advice');
    const picture = find('.answer .photo img')?.src ?? null;
    if (!advice || picture === seen) return;
    seen = picture;
    const slider = find('#opacity');
    if (slider) fade(slider);
    scrollTo(0, 0);
    advice.focus({ preventScroll: true });
  };

  const start = () => {
    new MutationObserver(repaint).observe(document.body, { attributeFilter: ['class'] });
    new MutationObserver(greet).observe(document.body, { childList: true, subtree: true, attributeFilter: ['src', 'class'] });
    repaint();
  };
  if (document.readyState === 'loading') document.addEventListener('DOMContentLoaded', start);
  else start();
})();

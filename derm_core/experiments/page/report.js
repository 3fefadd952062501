// Draws the figures, again where light turns dark, and lets a reader choose between the two.
(() => {
  const read = id => JSON.parse(document.getElementById(id).textContent);
  const charts = read('charts'), themes = read('themes'), root = document.documentElement;
  const dark = matchMedia('(prefers-color-scheme: dark)');
  const chosen = () => root.dataset.theme || (dark.matches ? 'dark' : 'light');
  let drawn = [], turn = 0;

  async function draw() {
    const mine = ++turn, config = themes[chosen()];
    drawn.splice(0).forEach(result => result.finalize());
    for (const place of document.querySelectorAll('[data-chart]')) {
      const options = { mode: 'vega-lite', renderer: 'svg', actions: false, ast: true, config };
      const result = await vegaEmbed(place, structuredClone(charts[place.dataset.chart]), options);
      if (mine !== turn) return result.finalize();
      drawn.push(result);
    }
    root.dataset.drawn = chosen();
  }

  const button = document.getElementById('theme');
  button.hidden = false;
  button.addEventListener('click', () => { root.dataset.theme = chosen() === 'dark' ? 'light' : 'dark'; draw(); });
  dark.addEventListener('change', draw);
  draw();
})();

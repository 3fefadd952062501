/* The history: an address that says what is asked for, and how many answers are ticked. */
const filters = document.getElementById('filters');
filters?.addEventListener('submit', () => {
  for (const field of filters.querySelectorAll('[name]')) field.disabled = field.value === '';
});
addEventListener('pageshow', () => {
  for (const field of filters?.querySelectorAll('[name]') ?? []) field.disabled = false;
});

const all = document.getElementById('all');
const ticks = [...document.querySelectorAll('tbody [name="keys"]')];
const count = () => {
  const chosen = ticks.filter(tick => tick.checked).length;
  document.getElementById('picked').textContent = chosen;
  all.checked = chosen === ticks.length;
  all.indeterminate = chosen > 0 && chosen < ticks.length;
};
if (all) {
  all.addEventListener('change', () => {
    for (const tick of ticks) tick.checked = all.checked;
    count();
  });
  for (const tick of ticks) tick.addEventListener('change', count);
  addEventListener('pageshow', count);
}

/* Runs before the page is drawn: says that scripts work, and keeps the light or dark that the user chose. */
document.documentElement.classList.add('js');
try {
  const chosen = localStorage.getItem('theme');
  if (chosen === 'light' || chosen === 'dark') document.documentElement.dataset.theme = chosen;
} catch {
  // Storage is closed to this page: the system's choice holds.
}

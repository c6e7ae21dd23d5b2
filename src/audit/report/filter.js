const form = document.querySelector("form.counts");
const findings = [...document.querySelectorAll(".finding")];
const filter = () => {
  const shown = new Set([...form.elements.severity].filter((box) => box.checked).map((box) => box.value));
  const words = form.elements.words.value.toLowerCase().split(/\s+/).filter(Boolean);
  for (const finding of findings) {
    const text = finding.textContent.toLowerCase();
    finding.classList.toggle("hidden", !(shown.has(finding.dataset.severity) && words.every((word) => text.includes(word))));
  }
};
form.addEventListener("input", filter);
form.addEventListener("submit", (event) => event.preventDefault());

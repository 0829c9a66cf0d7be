const charts = JSON.parse(document.getElementById("charts").textContent);
const dark = matchMedia("(prefers-color-scheme: dark)");
const views = new Map();

async function draw(element) {
  const tone = dark.matches ? "dark" : "light";
  const drawn = await vegaEmbed(element, charts.specs[element.dataset.chart], {
    actions: false,
    ast: true, // interpreted expressions: the page's policy allows no code made from text
    config: charts.themes[tone],
    renderer: "svg",
    tooltip: { theme: tone },
  });
  views.get(element)?.finalize();
  views.set(element, drawn);
}

function drawAll() {
  return Promise.all([...document.querySelectorAll(".live")].map(draw));
}

// Until they are drawn, and if drawing fails, the still pictures stand in their place.
document.documentElement.classList.add("drawn");
drawAll().catch((error) => {
  document.documentElement.classList.remove("drawn");
  throw error;
});
dark.addEventListener("change", drawAll);

// What is folded is printed too: print.css unfolds it, and this does for browsers that do not know how.
let unfolded = [];
addEventListener("beforeprint", () => {
  unfolded = [...document.querySelectorAll("details:not([open])")];
  for (const details of unfolded) details.open = true;
});
addEventListener("afterprint", () => {
  for (const details of unfolded) details.open = false;
});

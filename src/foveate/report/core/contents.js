"use strict";
// The list of contents works without this; here the section that is being read is marked in it.
const contents = document.querySelector(".toc ol");
const links = [...contents.querySelectorAll("a")];
const heads = links.map((link) => document.getElementById(decodeURIComponent(link.hash.slice(1))));

function markCurrent() {
  const line = innerHeight / 3;
  let current = heads.findLastIndex((head) => head.getBoundingClientRect().top < line);
  if (scrollY > 0 && scrollY + innerHeight >= document.documentElement.scrollHeight - 2) current = heads.length - 1;
  for (const [place, link] of links.entries()) {
    if (place !== Math.max(current, 0)) link.removeAttribute("aria-current");
    else if (!link.hasAttribute("aria-current")) {
      link.setAttribute("aria-current", "location");
      // Only the list is scrolled: on a narrow page along its line, on a wide one in its column.
      const box = contents.getBoundingClientRect(), mark = link.getBoundingClientRect();
      contents.scrollLeft += mark.left - box.left - (box.width - mark.width) / 2;
      contents.scrollTop += mark.top - box.top - (box.height - mark.height) / 2;
    }
  }
}

let isAwaited = false;
function markSoon() {
  if (isAwaited) return;
  isAwaited = true;
  requestAnimationFrame(() => {
    isAwaited = false;
    markCurrent();
  });
}
addEventListener("scroll", markSoon, { passive: true });
addEventListener("resize", markSoon);
markCurrent();

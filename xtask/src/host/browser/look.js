// Looks at the page in every frame: the boxes of all words, and where they lie. What is wrong goes
// into #found, a line each, behind how many boxes there were.
'use strict';
const found = [];
let boxes = 0;

// Rounding is no fault.
const SLACK = 1;

function words(node) {
  return [...node.childNodes].some(child => child.nodeType === 3 && child.nodeValue.trim());
}

function said(element) {
  return element.textContent.trim().slice(0, 30);
}

function look(frame) {
  const page = frame.contentDocument, root = page.documentElement, width = frame.clientWidth;
  const fault = line => found.push(`at ${width}: ${line}`);
  if (root.scrollWidth > width) fault(`the page is wider: ${root.scrollWidth}`);
  const visible = [];
  for (const element of page.body.querySelectorAll('*')) {
    if (!words(element) || element.closest('title, style, script')) continue;
    const range = page.createRange();
    range.selectNodeContents(element);
    const box = element.ownerSVGElement
      ? element.getBoundingClientRect() : range.getBoundingClientRect();
    if (!box.width || !box.height) { fault(`"${said(element)}" can't be seen`); continue; }
    boxes++;
    visible.push([element, box]);
    if (box.left < -SLACK || box.right > width + SLACK) fault(`"${said(element)}" is cut off`);
    const drawing = element.ownerSVGElement;
    if (drawing) {
      const outer = drawing.getBoundingClientRect();
      if (box.left < outer.left - SLACK || box.right > outer.right + SLACK
          || box.top < outer.top - SLACK || box.bottom > outer.bottom + SLACK) {
        fault(`"${said(element)}" is cut off by its drawing`);
      }
    } else if (page.defaultView.getComputedStyle(element).overflow !== 'visible'
        && element.scrollWidth > element.clientWidth + SLACK) {
      fault(`"${said(element)}" is cut off`);
    }
  }
  for (let i = 0; i < visible.length; i++) {
    for (let j = i + 1; j < visible.length; j++) {
      const [a, p] = visible[i], [b, q] = visible[j];
      if (a.contains(b) || b.contains(a)) continue;
      if (Math.min(p.right, q.right) - Math.max(p.left, q.left) > SLACK
          && Math.min(p.bottom, q.bottom) - Math.max(p.top, q.top) > 2 * SLACK) {
        fault(`"${said(a)}" overlaps "${said(b)}"`);
      }
    }
  }
}

addEventListener('load', () => {
  try {
    document.querySelectorAll('iframe').forEach(look);
    document.getElementById('found').textContent = [`boxes ${boxes}`, ...found].join('\n');
  } catch (error) {
    document.getElementById('found').textContent = `${error}`;
  }
});

/**
 * Building elements. Text only ever arrives as text nodes, so no name or message from a target can become markup.
 */

const SVG = "http://www.w3.org/2000/svg";

/** An element. `props`: class, text, title, data (dataset), on (listeners); anything else is an attribute. */
export function h(tag, props = {}, ...children) {
  return fill(document.createElement(tag), props, children);
}

/** The same for SVG. */
export function s(tag, props = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), props, children);
}

function fill(element, props, children) {
  for (const [key, value] of Object.entries(props)) {
    if (value === null || value === undefined || value === false) continue;
    if (key === "class") element.setAttribute("class", value);
    else if (key === "text") element.textContent = value;
    else if (key === "data") Object.assign(element.dataset, value);
    else if (key === "on") for (const [event, listener] of Object.entries(value)) element.addEventListener(event, listener);
    else element.setAttribute(key, value === true ? "" : String(value));
  }
  element.append(...children.flat(3).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** Set text only where it differs: an unchanged node costs no layout and is not read out again. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Put exactly `elements` into `container`, in order, moving only what is out of place and keeping the focus. */
export function arrange(container, elements) {
  const wanted = new Set(elements);
  for (const child of [...container.children]) if (!wanted.has(child)) child.remove();
  const focused = document.activeElement;
  let next = container.firstElementChild;
  for (const element of elements) {
    if (element === next) next = next.nextElementSibling;
    else container.insertBefore(element, next);
  }
  if (focused && focused !== document.activeElement && container.contains(focused)) focused.focus({ preventScroll: true });
}

/** `href` if it leads to a web page; otherwise null. A runbook_url of `javascript:…` must not become a link. */
export function safeHref(href) {
  try {
    return ["http:", "https:"].includes(new URL(href).protocol) ? href : null;
  } catch {
    return null;
  }
}

const PATHS = {
  bell: ["M6 9a6 6 0 1 1 12 0c0 5 2 6 2 7H4c0-1 2-2 2-7", "M10 20a2.2 2.2 0 0 0 4 0"],
  refresh: ["M20 11a8 8 0 0 0-14.3-4L4 9", "M4 4v5h5", "M4 13a8 8 0 0 0 14.3 4l1.7-2", "M20 20v-5h-5"],
  leave: ["M14 4H6a1 1 0 0 0-1 1v14a1 1 0 0 0 1 1h8", "M10 12h10", "m16.5 8.5 3.5 3.5-3.5 3.5"],
  close: ["M6 6l12 12", "M18 6 6 18"],
  check: ["m5 12.5 4.5 4.5L19 7.5"],
  healthy: ["M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18", "m8 12.5 2.7 2.7L16 9.8"],
  degraded: ["M12 4 2.8 19.5h18.4Z", "M12 10v4.5", "M12 17v.2"],
  unhealthy: ["M8.3 3h7.4L21 8.3v7.4L15.7 21H8.3L3 15.7V8.3Z", "m9 9 6 6", "m15 9-6 6"],
  unknown: ["M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18", "M9.5 9.6a2.6 2.6 0 1 1 3.9 2.3c-.9.5-1.4 1-1.4 1.9", "M12 16.8v.2"],
  info: ["M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18", "M12 11v5.2", "M12 7.6v.2"],
  filter: ["M4 6h16", "M7 12h10", "M10 18h4"],
};
const SEVERITY_ICON = { critical: "unhealthy", warning: "degraded", info: "info" };

/** An icon of the set above, hidden from screen readers: words always stand beside it. */
export function icon(name) {
  return s("svg", { class: `icon icon-${name}`, viewBox: "0 0 24 24", "aria-hidden": "true", focusable: "false" },
    (PATHS[name] ?? PATHS.unknown).map((d) => s("path", { d })));
}

/** The icon of an alert's severity; a resolved one has the healthy mark. */
export function alertIcon(alert) {
  return icon(alert.active === false ? "healthy" : SEVERITY_ICON[alert.severity] ?? "info");
}

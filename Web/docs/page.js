// The reference page: routes from /openapi.json, a list of links to them, and a field to find one.

import { matches, routesOf } from "./reference.js";

const about = document.getElementById("about");
const contents = document.getElementById("contents");
const place = document.getElementById("routes");
const filter = document.getElementById("filter");
const count = document.getElementById("count");

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

function table(heads, rows) {
  const head = element("tr", {}, ...heads.map((text) => element("th", { scope: "col" }, text)));
  return element("div", { class: "scroll" },
    element("table", { class: "fields" }, element("thead", {}, head), element("tbody", {}, ...rows)));
}

function fieldRow({ name, kind, required, about: words, depth = 0 }) {
  return element("tr", {},
    element("td", { class: `deep-${depth}` }, element("code", {}, name)), element("td", {}, kind),
    element("td", {}, required ? "always" : "may be left out"), element("td", {}, words));
}

function bodyOf({ type, kind, fields }) {
  const title = element("p", { class: "soft" }, element("code", {}, type), ` · ${kind}`);
  if (fields.length === 0) return [title];
  return [title, table(["Field", "Kind", "There", "About"], fields.map(fieldRow))];
}

function details(route) {
  const body = element("div", { class: "body" });
  if (route.about) body.append(element("p", {}, route.about));
  body.append(element("p", { class: "soft" },
    route.isOpen ? "Open to everybody." : "Needs a bearer token, or the session cookie with X-CSRF-Token."));
  if (route.parameters.length > 0) {
    const rows = route.parameters.map((parameter) => element("tr", {},
      element("td", {}, element("code", {}, parameter.name)), element("td", {}, parameter.where),
      element("td", {}, parameter.kind), element("td", {}, parameter.required ? "always" : "may be left out"),
      element("td", {}, parameter.about)));
    body.append(element("h3", {}, "Parameters"), table(["Name", "In", "Kind", "There", "About"], rows));
  }
  if (route.bodies.length > 0) body.append(element("h3", {}, "Body"), ...route.bodies.flatMap(bodyOf));
  for (const answer of route.answers) {
    body.append(element("h3", {}, `Answer ${answer.status}`), element("p", {}, answer.about));
    body.append(...answer.bodies.flatMap(bodyOf));
  }
  return body;
}

function card(route) {
  const made = element("details", { class: "card route", id: route.id },
    element("summary", {},
      element("span", { class: `method ${route.method.toLowerCase()}` }, route.method),
      element("span", { class: "path" }, route.path), element("span", { class: "soft" }, route.summary)));
  // Fifty tables nobody looks at would only make the page slow.
  made.addEventListener("toggle", () => { if (made.open && made.children.length === 1) made.append(details(route)); });
  return made;
}

function show(routes) {
  const tags = [...new Set(routes.map((route) => route.tag))];
  for (const tag of tags) {
    const list = element("ul");
    const section = element("section", { "aria-label": tag, "data-tag": tag },
      element("h2", { class: "tag-title" }, tag));
    for (const route of routes.filter((one) => one.tag === tag)) {
      route.link = element("li", {}, element("a", { href: `#${route.id}` }, `${route.method} ${route.path}`));
      route.card = card(route);
      list.append(route.link);
      section.append(route.card);
    }
    contents.append(element("h2", { class: "small tag-title", "data-tag": tag }, tag), list);
    place.append(section);
  }
}

function narrow(routes) {
  const tags = new Set();
  let shown = 0;
  for (const route of routes) {
    const isShown = matches(route, filter.value.trim());
    route.link.hidden = !isShown;
    route.card.hidden = !isShown;
    if (isShown) {
      tags.add(route.tag);
      shown += 1;
    }
  }
  for (const part of document.querySelectorAll("[data-tag]")) part.hidden = !tags.has(part.dataset.tag);
  count.textContent = `${shown} of ${routes.length} routes`;
}

/** Opens the route that the address names. */
function follow() {
  const wanted = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (!wanted?.matches("details.route")) return;
  wanted.open = true;
  wanted.querySelector("summary").focus();
  wanted.scrollIntoView();
}

try {
  const answer = await fetch("/openapi.json");
  if (!answer.ok) throw new Error(`status ${answer.status}`);
  const description = await answer.json();
  const routes = routesOf(description);
  about.textContent = description.info.description;
  show(routes);
  document.getElementById("search").hidden = false;
  filter.addEventListener("input", () => narrow(routes));
  addEventListener("hashchange", follow);
  narrow(routes);
  follow();
} catch (error) {
  about.textContent = `The description cannot be read (${error.message}). Reload the page to try again.`;
}

"use strict";

// The page asks for its JSON once a second while it is visible, and changes what has changed.
// Names come from anywhere: they become text, never markup.

const everyMS = 1000;     // between the end of a poll and the next
const patienceMS = 10000; // with one poll
const reorderMS = 5000;   // the order changes no more often

const main = document.getElementById("main");
const live = document.getElementById("live");
const summaryLine = document.getElementById("summary");
const filter = document.getElementById("filter");
const sort = document.getElementById("sort");
const toggle = document.getElementById("toggle");

// --- Elements

// el makes an element. Children are nodes or text.
function el(tag, className, ...children) {
  const e = document.createElement(tag);
  if (className) e.className = className;
  e.append(...children);
  return e;
}

function svg(tag, attributes) {
  const e = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [k, v] of Object.entries(attributes)) e.setAttribute(k, v);
  return e;
}

function setText(e, text) {
  if (e.textContent !== text) e.textContent = text;
}

function setClass(e, name, on) {
  e.classList.toggle(name, Boolean(on));
}

function setAttribute(e, name, value) {
  if (e.getAttribute(name) !== String(value)) e.setAttribute(name, value);
}

// setLines makes a list's items out of texts.
function setLines(list, lines) {
  while (list.children.length > lines.length) list.lastChild.remove();
  lines.forEach((line, i) => {
    if (!list.children[i]) list.append(el("li"));
    setText(list.children[i], line);
  });
}

// keyed keeps one element for each key, in the order of the keys unless held.
function keyed(parent, cache, keys, make, held) {
  const want = new Set(keys);
  for (const [key, e] of cache) {
    if (!want.has(key)) {
      e.root.remove();
      cache.delete(key);
    }
  }
  let place = parent.firstChild;
  for (const key of keys) {
    let e = cache.get(key);
    if (!e) {
      e = make(key);
      cache.set(key, e);
      parent.insertBefore(e.root, held ? null : place);
    } else if (!held && e.root !== place) {
      parent.insertBefore(e.root, place);
    } else if (e.root === place) {
      place = place.nextSibling;
    }
  }
}

// --- Figures

const grouped = new Intl.NumberFormat("en-US");
const compact = new Intl.NumberFormat("en-US", { notation: "compact", maximumFractionDigits: 1 });

function number(n) {
  return Math.abs(n) < 10000 ? grouped.format(n) : compact.format(n).replace("K", "k");
}

function count(n, one, many) {
  return grouped.format(n) + " " + (n === 1 ? one : many);
}

function duration(ns) {
  const ms = ns / 1e6;
  if (ms < 1) return quantity(0, "s");
  if (ms < 100) return quantity(ms.toFixed(ms < 10 ? 1 : 0), "ms");
  const s = ms / 1000;
  if (s < 119.5) return quantity(s < 9.95 ? s.toFixed(1) : Math.round(s), "s");
  const m = s / 60;
  if (m < 119.5) return quantity(Math.round(m), "min");
  const h = m / 60;
  return h < 47.5 ? quantity(Math.round(h), "h") : quantity(Math.round(h / 24), "d");
}

// quantity keeps a number and its unit on one line.
function quantity(n, unit) {
  return n + "\u00a0" + unit;
}

// ago is in whole seconds, so that it does not flicker.
function ago(ns) {
  if (ns < 1.5e9) return "now";
  return (ns < 9.95e9 ? quantity(Math.round(ns / 1e9), "s") : duration(ns)) + " ago";
}

function percent(part) {
  return quantity(Math.round(part * 100), "%");
}

// left is which part of a limit is left, from 0 to 1.
function left(limit) {
  const full = limit.burst_ns && limit.name !== "concurrent" ? capacity(limit) : limit.limit;
  return full > 0 ? Math.min(1, Math.max(0, limit.remaining / full)) : 0;
}

// capacity is what a bucket holds whose limit refills in a burst.
function capacity(limit) {
  const period = /^.pd/.test(limit.name) ? 86400e9 : 60e9;
  return Math.max(1, limit.limit * Math.min(1, limit.burst_ns / period));
}

function state(limit) {
  if (limit.unknown) return "";
  if (limit.remaining <= Math.max(0, limit.margin)) return "out";
  return left(limit) < 0.25 ? "low" : "";
}

function flowName(f) {
  const name = f.class ? "class " + f.class : "no class";
  return f.tenant ? (f.class ? name + ", " : "") + "tenant " + f.tenant : name;
}

// --- What a row shows

// ownLimits are those of the model alone: what it shares has rows of its own.
function ownLimits(scope) {
  return scope.limits.filter((l) => l.owner === scope.model);
}

// rowsOf are an account's models, and what several of them share.
function rowsOf(account) {
  const shared = new Map();
  for (const scope of account.scopes) {
    for (const l of scope.limits) {
      if (l.owner === scope.model) continue;
      const row = shared.get(l.owner) || { models: [], uses: [], scopes: new Set(), limits: [] };
      shared.set(l.owner, row);
      if (scope.use && !row.scopes.has(scope)) row.uses.push(scope.use);
      row.scopes.add(scope);
      if (!row.models.includes(scope.model)) row.models.push(scope.model);
      if (!row.limits.some((known) => known.name === l.name)) row.limits.push(l);
    }
  }
  const rows = account.scopes.map((scope) => ({
    key: JSON.stringify([scope.model, scope.class || ""]),
    title: (scope.model || "(no model)") + (scope.class ? " · class " + scope.class : ""),
    scope, use: scope.use, limits: ownLimits(scope), processes: processesOf(account, scope),
  }));
  for (const [owner, row] of shared) {
    rows.push({ key: "shared " + owner, title: ownerName(owner), scope: null, limits: row.limits, models: row.models, use: together(row.uses) });
  }
  return rows;
}

// ownerName names whose limits several models draw from.
function ownerName(owner) {
  if (owner === "account") return "all models of the account";
  return owner.startsWith("class:") ? "class " + owner.slice(6) : owner.replace(/^family:/, "") + " (shared)";
}

// processesOf are what the processes of the fleet do in a model. They don't tell its classes
// apart.
function processesOf(account, scope) {
  if (!account.fleet || scope.class) return [];
  return account.fleet.processes.flatMap((p) => p.models.filter((m) => m.model === scope.model).map((m) => ({ ...m, own: p.own, process: processName(p) })));
}

function processName(p) {
  return p.own ? "this process" : "process " + shortID(p);
}

function shortID(p) {
  return p.id.slice(0, 6);
}

// together adds up what several models were charged, where that is of one unit.
function together(uses) {
  if (!uses.length || uses.some((u) => u.unit !== uses[0].unit)) return null;
  return {
    unit: uses[0].unit,
    last_minute: uses.reduce((n, u) => n + u.last_minute, 0),
    amounts: uses[0].amounts.map((_, i) => uses.reduce((n, u) => n + u.amounts[i], 0)),
  };
}

// pressure orders rows: who is paused, who has calls in line, whose buckets are low.
function pressure(row) {
  const s = row.scope;
  const lowest = row.limits.reduce((least, l) => (l.unknown ? least : Math.min(least, left(l))), 1);
  let p = 1 - lowest;
  if (s && s.throttles && s.throttles.age_ns < 600e9) p += 0.5;
  const oldest = Math.max(s && s.waiting ? s.oldest_ns : 0, ...(row.processes || []).map((m) => (m.waiting ? m.oldest_ns : 0)));
  if (oldest) p += 10 + oldest / 1e9;
  if (s && s.paused_ns) p += 1e6;
  return p;
}

const orders = {
  pressure: (a, b) => pressure(b) - pressure(a),
  wait: (a, b) => (b.scope ? b.scope.oldest_ns : 0) - (a.scope ? a.scope.oldest_ns : 0),
  use: (a, b) => used(b) - used(a),
  name: () => 0,
};

function used(row) {
  return row.use ? row.use.last_minute : 0;
}

// states are a row's, in words; the urgent ones first.
function states(row) {
  const s = row.scope;
  if (!s) return [["", "shared by " + count(row.models.length, "model", "models")]];
  const all = [];
  if (s.paused_ns) all.push(["!", "paused " + duration(s.paused_ns)]);
  if (s.waiting) all.push(["!", count(s.waiting, "waits", "wait") + ", oldest " + duration(s.oldest_ns)]);
  const elsewhere = row.processes.reduce((n, m) => n + (m.own ? 0 : m.waiting), 0);
  if (elsewhere) all.push(["!", count(elsewhere, "waits", "wait") + " in other processes"]);
  if (s.in_flight) all.push(["", s.in_flight + " in flight"]);
  if (s.throttles) all.push(["", "throttled " + ago(s.throttles.age_ns)]);
  if (s.unused) all.push(["", "configured, never called"]);
  if (!all.length) all.push(["", s.use ? "nobody waits" : "idle"]);
  return all;
}

// searchable is what the filter looks in.
function searchable(row) {
  const waiters = row.scope && row.scope.waiters ? row.scope.waiters.map(flowName) : [];
  return [row.title, ...states(row).map((s) => s[1]), ...waiters].join(" ").toLowerCase();
}

// --- A bar

function makeBar() {
  const label = el("span", "label");
  const fill = el("span", "fill");
  const track = el("span", "track", fill);
  const figure = el("span", "figure");
  const root = el("div", "bar", label, track, figure);
  track.setAttribute("role", "meter");
  track.setAttribute("aria-valuemin", "0");
  return { root, label, fill, track, figure };
}

function updateBar(bar, limit) {
  setText(bar.label, limit.name);
  bar.label.title = limit.name;
  const how = state(limit);
  setClass(bar.root, "low", how === "low");
  setClass(bar.root, "out", how === "out");
  const transform = "scaleX(" + (limit.unknown ? 0 : left(limit)).toFixed(4) + ")";
  if (bar.fill.style.transform !== transform) bar.fill.style.transform = transform;
  const figure = limit.unknown ? "? of " + number(limit.limit) : number(limit.remaining) + " of " + number(limit.limit);
  setText(bar.figure, figure);
  setAttribute(bar.track, "aria-label", limit.name + " left");
  setAttribute(bar.track, "aria-valuemax", limit.limit);
  setAttribute(bar.track, "aria-valuenow", Math.max(0, limit.remaining));
  setAttribute(bar.track, "aria-valuetext", figure + (how ? ", " + (how === "out" ? "used up" : "low") : ""));
}

// --- A sparkline

function makeUse() {
  const chart = svg("svg", { viewBox: "0 0 120 20", preserveAspectRatio: "none", role: "img" });
  const text = el("span", "");
  return { root: el("div", "use", chart, text), chart, text };
}

function updateUse(use, of) {
  use.root.hidden = !of;
  if (!of) return;
  const most = Math.max(...of.amounts, 1);
  while (use.chart.children.length < of.amounts.length) {
    use.chart.append(svg("rect", { x: 2 * use.chart.children.length, width: 1.6 }));
  }
  of.amounts.forEach((n, i) => {
    const height = n ? Math.max(1, (20 * n) / most) : 0.4;
    setAttribute(use.chart.children[i], "height", height.toFixed(2));
    setAttribute(use.chart.children[i], "y", (20 - height).toFixed(2));
  });
  const text = number(of.last_minute) + " " + of.unit + "/min";
  setText(use.text, text);
  setAttribute(use.chart, "aria-label", "charged in the last ten minutes; in the last one " + text);
}

// --- What a row shows when it is open

function limitLine(l, model) {
  const parts = [l.name + (l.owner === model ? "" : " of " + l.owner) + ": "];
  if (l.unknown) parts.push("not known while the store does not answer, of " + grouped.format(l.limit));
  else parts.push(grouped.format(l.remaining) + " of " + grouped.format(l.limit) + " left");
  if (l.reset_ns > 0) parts.push(", full again in " + duration(l.reset_ns));
  if (l.margin > 1) parts.push("; " + grouped.format(l.margin) + " left unused as a margin");
  if (l.burst_ns) parts.push("; holds what refills in " + duration(l.burst_ns));
  if (l.ramp) parts.push("; traffic may only grow slowly: " + grouped.format(l.ramp) + " a minute now");
  if (l.ignored_ns) parts.push("; the server's figures could not be true and are ignored for " + duration(l.ignored_ns));
  if (l.keeps_unused) parts.push("; the server keeps declared output that was not used");
  parts.push(". " + (l.source === "configured" ? "Configured." : "Learned from " + l.source + ", " + ago(l.age_ns || 0) + "."));
  return parts.join("");
}

function serverLine(name, o) {
  if (!o) return [];
  let text = name + ": " + grouped.format(o.remaining) + " of " + grouped.format(o.limit) + " left";
  if (o.reset_ns) text += ", full again in " + duration(o.reset_ns);
  if (o.corrected) text += "; our bucket was moved by " + (o.corrected > 0 ? "+" : "−") + grouped.format(Math.abs(o.corrected));
  return [text];
}

// sections are what is known beyond the row, each a heading and lines.
function sections(row) {
  const s = row.scope;
  const limits = (s ? s.limits : row.limits).map((l) => limitLine(l, s ? s.model : l.owner));
  const all = [["Limits", limits.length ? limits : ["none known yet; the server's headers will tell"]]];
  if (!s) {
    all.push(["Drawn from by", [row.models.map((m) => m || "(no model)").join(", ")]]);
    return all;
  }
  if (s.waiters) {
    all.push(["Who waits", s.waiters.map((w) => flowName(w) + ": " + count(w.waiting, "call", "calls") + ", oldest " + duration(w.oldest_ns))]);
  }
  if (row.processes.some((m) => !m.own)) {
    all.push(["Fleet", row.processes.map((m) => m.process + ": " + percent(m.share) + " of the last minute, " +
      (m.waiting ? count(m.waiting, "waits", "wait") + ", oldest " + duration(m.oldest_ns) : "nobody waits") + ", " + m.in_flight + " in flight")]);
  }
  const t = s.throttles;
  if (t) {
    const pause = t.paused_ns ? "paused for " + duration(t.paused_ns) : "nobody was paused";
    const lines = [t.kind + ", " + ago(t.age_ns) + ", " + pause];
    if (t.message) lines.push("“" + t.message + "”");
    if (t.count > 1) lines.push(count(t.count, "throttle", "throttles") + " since this page's process started");
    all.push(["Last throttle", lines]);
  }
  const r = s.rejections;
  if (r) {
    const codes = Object.entries(r.codes).sort((a, b) => b[1] - a[1]).map(([code, n]) => code + " " + grouped.format(n));
    all.push(["Not started", [codes.join(", ") + "; the last " + ago(r.age_ns)]]);
  }
  const a = s.response;
  if (a) {
    all.push(["Last response", ["status " + a.status + ", " + ago(a.age_ns) + ", headers after " + duration(a.latency_ns),
      ...serverLine("requests", a.requests), ...serverLine("tokens", a.tokens)]]);
  }
  return all;
}

function makeMore() {
  return { root: el("dl", "more"), sections: new Map(), actions: null };
}

function updateMore(more, row, account) {
  const all = sections(row);
  const want = new Map(all);
  for (const [name, section] of more.sections) {
    if (!want.has(name)) {
      section.term.remove();
      section.list.parentNode.remove();
      more.sections.delete(name);
    }
  }
  for (const [name, lines] of all) {
    let section = more.sections.get(name);
    if (!section) {
      section = { term: el("dt", "", name), list: el("ul") };
      more.root.insertBefore(section.term, more.actions);
      more.root.insertBefore(el("dd", "", section.list), more.actions);
      more.sections.set(name, section);
    }
    setLines(section.list, lines);
  }
  if (mayClear && row.scope && !more.actions) {
    more.actions = el("dd", "", clearButton(account, row.scope.model));
    more.root.append(more.actions);
  }
}

// --- Clear

let mayClear = false;

// clearButton asks once more before it clears.
function clearButton(account, model) {
  const first = el("button", "", "Clear …");
  const yes = el("button", "", "Fill the buckets of " + (model || "calls without a model") + " and lift its pauses");
  const no = el("button", "", "Cancel");
  const said = el("span", "soft");
  said.setAttribute("role", "status");
  for (const b of [first, yes, no]) b.type = "button";
  const ask = (on) => {
    first.hidden = on;
    yes.hidden = no.hidden = !on;
    (on ? no : first).focus();
  };
  yes.hidden = no.hidden = true;
  first.onclick = () => { said.textContent = ""; ask(true); };
  no.onclick = () => ask(false);
  yes.onclick = async () => {
    yes.disabled = true;
    try {
      const response = await fetch("?", { method: "POST", body: new URLSearchParams({ account, model }) });
      said.textContent = response.ok ? "cleared" : (await response.text()).trim();
    } catch (e) {
      said.textContent = "no answer: " + e.message;
    }
    yes.disabled = false;
    ask(false);
    poll();
  };
  return el("div", "actions", first, yes, no, said);
}

// --- A row

function makeRow() {
  const name = el("span", "name");
  const states = el("div", "states");
  const bars = el("div", "bars");
  const from = el("div", "soft");
  const use = makeUse();
  const summary = el("summary", "", el("div", "", name, states), el("div", "", bars, from), use.root);
  const details = el("details", "", summary);
  return { root: el("li", "", details), details, name, states, bars, from, use, barCache: new Map(), more: null, stateTexts: "" };
}

function updateRow(r, row, account) {
  r.row = row;
  setText(r.name, row.title);
  const all = states(row);
  const texts = all.map((s) => s.join("")).join();
  if (r.stateTexts !== texts) {
    r.stateTexts = texts;
    r.states.replaceChildren(...all.flatMap(([urgent, text], i) => [i ? " · " : "", el(urgent ? "b" : "span", "", text)]));
  }
  keyed(r.bars, r.barCache, row.limits.map((l) => l.name), makeBar, false);
  for (const l of row.limits) updateBar(r.barCache.get(l.name), l);
  const from = row.limits.length || !row.scope ? [] : row.scope.limits.map((l) => ownerName(l.owner));
  setText(r.from, from.length ? "draws from " + [...new Set(from)].join(", ") : "");
  updateUse(r.use, row.use);
  if (r.details.open) openRow(r, account);
  r.details.ontoggle = () => { if (r.details.open) openRow(r, account); };
}

function openRow(r, account) {
  if (!r.more) {
    r.more = makeMore();
    r.details.append(r.more.root);
  }
  updateMore(r.more, r.row, account);
}

// --- An account

function makeAccount(name) {
  const title = el("h2", "", name);
  const note = el("p", "note bad");
  const credentials = el("p", "note");
  const flowsSummary = el("summary", "");
  const flows = el("details", "flows", flowsSummary, el("div"));
  const fleetSummary = el("summary", "");
  const fleet = el("details", "flows", fleetSummary, el("div"));
  fleet.ontoggle = flows.ontoggle = render;
  const list = el("ul", "scopes");
  return { root: el("section", "", title, note, credentials, fleet, flows, list), note, credentials, flows, flowsSummary, fleet, fleetSummary, list, rows: new Map(), order: "", ordered: 0, tables: {} };
}

// updateTable shows a table, or hides it where there are no rows.
function updateTable(a, parent, name, caption, heads, rows) {
  let table = a.tables[name];
  if (!table && rows) {
    table = el("table", name);
    a.tables[name] = table;
    parent.append(table);
  }
  if (!table) return;
  table.hidden = !rows;
  if (!rows) return;
  const line = (cell, texts) => el("tr", "", ...texts.map((t) => el(cell, "", t)));
  table.replaceChildren(el("caption", "", caption), el("thead", "", line("th", heads)), el("tbody", "", ...rows.map((r) => line("td", r))));
}

const flowHeads = ["share", "charged", "wait", "oldest"];

function flowCells(s) {
  return [percent(s.share), number(s.charged), number(s.waiting), s.waiting ? duration(s.oldest_ns) : "–"];
}

function updateFleet(a, account) {
  const f = account.fleet;
  a.fleet.hidden = !f;
  if (!f) return;
  setText(a.fleetSummary, "Fleet: " + count(f.processes.length, "process", "processes") + " · " +
    (f.waiting ? count(f.waiting, "waits", "wait") + ", oldest " + duration(f.oldest_ns) : "nobody waits") + " · " + f.in_flight + " in flight");
  if (!a.fleet.open) return;
  const slots = f.processes.some((p) => p.slots);
  const sum = (p, key) => (p.slots || []).reduce((n, s) => n + s[key], 0);
  const rows = f.processes.map((p) => [p.own ? "this one" : shortID(p), ...flowCells(p), String(p.in_flight),
    ...(slots ? [sum(p, "used") + " of " + sum(p, "held")] : []), p.own ? "now" : ago(p.age_ns)]);
  updateTable(a, a.fleet.lastChild, "processes", "Processes in the last minute",
    ["process", ...flowHeads, "in flight", ...(slots ? ["slots"] : []), "last report"], rows);
}

// flowsText says in a line how the classes share what there is.
function flowsText(account) {
  const classes = (account.classes || []).map((c) => (c.class || "no class") + " " + percent(c.share) +
    (c.waiting ? ", " + count(c.waiting, "waits", "wait") + ", oldest " + duration(c.oldest_ns) : ""));
  return "Classes and tenants: " + classes.join(" · ");
}

function updateFlows(a, account) {
  a.flows.hidden = !account.classes && !account.tenants;
  if (a.flows.hidden) return;
  setText(a.flowsSummary, flowsText(account));
  if (!a.flows.open) return;
  updateTable(a, a.flows.lastChild, "class", "Classes in the last minute", ["class", ...flowHeads],
    account.classes && account.classes.map((s) => [s.class || "(none)", ...flowCells(s)]));
  updateTable(a, a.flows.lastChild, "tenant", "Tenants with the most use or the longest waits", ["tenant", ...flowHeads],
    account.tenants && account.tenants.map((s) => [s.tenant + (s.class ? " of " + s.class : ""), ...flowCells(s)]));
}

function updateAccount(a, account) {
  a.note.hidden = !account.error && !account.fleet_error;
  setText(a.note, account.error ? "The budget is not known now: " + account.error : account.fleet_error ? "The fleet is not known now: " + account.fleet_error : "");
  const hosts = account.many_credentials || [];
  a.credentials.hidden = !hosts.length;
  setText(a.credentials, hosts.length ? hosts.join(", ") + ": called with many credentials, each taken for an account. If they are one account's, name it with WithAccount." : "");
  updateFleet(a, account);
  updateFlows(a, account);

  const rows = rowsOf(account);
  rows.sort((x, y) => orders[sort.value](x, y) || x.title.localeCompare(y.title));
  // Rows stand still while somebody points at them or has the focus in them.
  const now = performance.now();
  const wanted = sort.value;
  const held = a.order === wanted && (now - a.ordered < reorderMS || a.list.matches(":hover, :focus-within"));
  if (!held) {
    a.order = wanted;
    a.ordered = now;
  }
  keyed(a.list, a.rows, rows.map((row) => row.key), makeRow, held);
  const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
  let shown = 0;
  for (const row of rows) {
    const r = a.rows.get(row.key);
    updateRow(r, row, account.account);
    const text = words.length ? searchable(row) : "";
    r.root.hidden = !words.every((w) => text.includes(w));
    if (!r.root.hidden) shown++;
  }
  a.root.hidden = !shown && !account.error;
  a.list.hidden = !shown;
  return shown;
}

// --- The page

const accounts = new Map();
const accountList = el("div");
const shadowNote = el("p", "note");
const storeNote = el("p", "note");
const moreNote = el("p", "soft");
const nothing = el("p", "note", "No model matches the filter.");
const empty = el("div", "empty", el("h2", "", "No calls yet"),
  el("p", "", "No limits are configured, and no call has come. A model shows here with its first call."),
  el("p", "", "If calls are being made, they do not pass through this limiter: give their client ", el("code", "", "limiter.Transport(nil)"), " or ", el("code", "", "limiter.Client(nil)"), "."));
main.append(shadowNote, storeNote, empty, nothing, accountList, moreNote);
for (const e of [shadowNote, storeNote, empty, nothing, moreNote]) e.hidden = true;

let latest = null;
let latestAt = 0;

function shadowText(report) {
  if (!report) return "";
  const t = report.total;
  const rejected = Object.values(t.rejected || {}).reduce((n, k) => n + k, 0);
  let text = "In shadow: nothing waits or is rejected. Of " + count(t.calls, "call", "calls") + ", " + t.waited + " would have waited";
  if (t.waited) text += " (half of them for " + duration(t.wait.p50_ns) + ", the longest for " + duration(t.wait.max_ns) + ")";
  text += " and " + rejected + " would have been rejected. ";
  return text + "Of " + count(t.throttled, "throttle", "throttles") + ", " + t.avoided + " would not have come.";
}

function storeText(b) {
  if (!b || b.available) return "";
  return "The shared store does not answer: " + b.error + (b.age_ns ? ". It last did " + ago(b.age_ns) + "." : ". It never has.");
}

function summaryText(data) {
  const scopes = data.accounts.flatMap((a) => a.scopes);
  if (!scopes.length) return "";
  const sum = (f) => scopes.reduce((n, s) => n + f(s), 0);
  const waiting = sum((s) => s.waiting);
  const parts = [count(scopes.length, "model", "models")];
  parts.push(waiting ? count(waiting, "call waits", "calls wait") + ", the oldest " + duration(Math.max(...scopes.map((s) => s.oldest_ns))) : "nobody waits");
  parts.push(sum((s) => s.in_flight) + " in flight");
  const throttled = sum((s) => (s.throttles ? s.throttles.count : 0));
  parts.push(throttled ? count(throttled, "throttle", "throttles") : "no throttle");
  if (data.backend && data.backend.available) {
    const took = data.backend.took_ns;
    parts.push("store answers in " + (took < 1e6 ? "less than " + quantity(1, "ms") : duration(took)));
  }
  parts.push("up " + duration(data.up_ns));
  return parts.join(" · ");
}

function render() {
  const data = latest;
  if (!data) return;
  mayClear = data.clear;
  setText(summaryLine, summaryText(data));
  setText(shadowNote, shadowText(data.shadow));
  shadowNote.hidden = !shadowNote.textContent;
  setText(storeNote, storeText(data.backend));
  storeNote.hidden = !storeNote.textContent;
  keyed(accountList, accounts, data.accounts.map((a) => a.account), makeAccount, false);
  let shown = 0;
  for (const account of data.accounts) shown += updateAccount(accounts.get(account.account), account);
  const some = data.accounts.some((a) => a.scopes.length || a.error);
  empty.hidden = some;
  nothing.hidden = !some || shown > 0 || !filter.value;
  moreNote.hidden = !data.more_accounts;
  setText(moreNote, data.more_accounts ? count(data.more_accounts, "account that is less busy is", "accounts that are less busy are") + " left out." : "");
}

function setLive(text, old) {
  setText(live, text);
  setClass(live, "old", old);
  document.body.style.opacity = old && latest ? "0.75" : "";
}

let timer = 0;
let polling = false;

async function poll() {
  clearTimeout(timer);
  if (polling) return;
  polling = true;
  try {
    const response = await fetch("?format=json", { cache: "no-store", signal: AbortSignal.timeout(patienceMS) });
    const data = await response.json();
    if (!response.ok) throw new Error(data.error || "status " + response.status);
    latest = data;
    latestAt = performance.now();
    render();
    setLive("live", false);
  } catch (e) {
    const since = latest ? "; what follows is " + duration((performance.now() - latestAt) * 1e6) + " old" : "";
    setLive("no answer: " + e.message + since, true);
  }
  polling = false;
  if (!document.hidden) timer = setTimeout(poll, everyMS);
}

document.addEventListener("visibilitychange", () => { if (!document.hidden) poll(); });
filter.addEventListener("input", render);
sort.addEventListener("change", render);
document.getElementById("controls").addEventListener("submit", (e) => e.preventDefault());
toggle.addEventListener("click", () => {
  const open = toggle.textContent === "Open all";
  for (const d of main.querySelectorAll("li:not([hidden]) > details")) d.open = open;
  toggle.textContent = open ? "Close all" : "Open all";
});
document.addEventListener("keydown", (e) => {
  const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(document.activeElement.tagName);
  if (e.key === "/" && !typing && !e.ctrlKey && !e.metaKey && !e.altKey) {
    e.preventDefault();
    filter.focus();
  } else if (e.key === "Escape" && document.activeElement === filter) {
    filter.value = "";
    render();
  }
});
poll();

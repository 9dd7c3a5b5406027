// SPDX-License-Identifier: Apache-2.0
// flame.js - zoom, search and status line of the flame graph. Names come from text nodes of the
// document and go back into text nodes only; nothing here is built from them but a RegExp, and that
// from what the reader typed.
(function () {
"use strict";

const ROW = 19, PAD = 16, XHTML = "http://www.w3.org/1999/xhtml", SVG = "http://www.w3.org/2000/svg";
const HINT = "click a frame to zoom \u00b7 / or Ctrl-F to search \u00b7 Esc to go back";
const svg = document.currentScript.ownerSVGElement || document.documentElement;
const byId = (id) => svg.getElementById(id);
const frames = byId("frames"), foot = byId("foot"), ledger = byId("ledger");
const total = Number(frames.dataset.n) || 1, periodNs = Number(frames.dataset.period) || 0;
const baseHeight = Number(svg.getAttribute("height"));
let width = 1200, charWidth = 7.23, boxes = [], zoomed = null, pattern = "", bar;

function readBoxes() {
	for (const group of frames.children) {
		const title = group.firstElementChild, rect = title.nextElementSibling;
		const full = group.dataset.l && byId("L" + group.dataset.l);
		const tip = title.textContent;
		boxes.push({
			group, rect, text: rect.nextElementSibling,
			x: Number(group.dataset.x), n: Number(group.dataset.n),
			depth: Math.round(Number(rect.getAttribute("y")) / ROW),
			merged: Number(group.dataset.merged) || 0,
			was: group.dataset.was === undefined ? null : Number(group.dataset.was),
			name: tip.slice(0, tip.lastIndexOf(" (")),
			full: full ? full.textContent : null,
		});
	}
}

function fit(name, columns) {
	let used = 0, end = 0, cut = 0;
	for (const char of name) {
		used += char.codePointAt(0) < 0x1100 ? 1 : 2;
		if (used > columns)
			return cut > 0 ? name.slice(0, cut) + "\u2026" : "";
		end += char.length;
		if (used <= columns - 1)
			cut = end;
	}
	return name;
}

function place(box, x, boxWidth) {
	const pixels = boxWidth * (width - 2 * PAD);
	const columns = Math.floor((pixels - 7) / charWidth);
	const label = columns < 3 ? "" : fit(box.name, columns);

	box.group.classList.toggle("t", pixels < 3);
	box.rect.setAttribute("x", (100 * x).toFixed(4) + "%");
	box.rect.setAttribute("width", (100 * boxWidth).toFixed(4) + "%");
	if (!label) {
		if (box.text)
			box.text.textContent = "";
		return;
	}
	if (!box.text) {
		box.text = document.createElementNS(SVG, "text");
		box.text.setAttribute("dx", 4);
		box.text.setAttribute("y", box.depth * ROW + 13);
		box.group.appendChild(box.text);
	}
	box.text.setAttribute("x", (100 * x).toFixed(4) + "%");
	box.text.textContent = label;
}

function draw() {
	const left = zoomed ? zoomed.x : 0, span = zoomed ? zoomed.n : total;

	for (const box of boxes) {
		const above = zoomed && box.depth < zoomed.depth && box.x <= left &&
			box.x + box.n >= left + span;
		const shown = above || !zoomed || (box.depth >= zoomed.depth && box.x >= left &&
			box.x + box.n <= left + span);

		box.group.classList.toggle("above", Boolean(above));
		if (shown) {
			box.group.removeAttribute("display");
			place(box, above ? 0 : (box.x - left) / span, above ? 1 : box.n / span);
		} else {
			box.group.setAttribute("display", "none");
		}
	}
	bar.reset.hidden = !zoomed;
}

function zoom(box) {
	zoomed = box && box.depth ? box : null;
	draw();
	remember();
}

// Samples of the matching frames, each counted once: boxes come parents first and from left to
// right, so what begins before the end of the last counted box lies below it.
function search(text) {
	const lower = text === text.toLowerCase();
	let regex = null, counted = 0, unsure = 0, end = -1, unsureEnd = -1;

	pattern = text;
	bar.input.classList.remove("bad");
	try {
		regex = text ? new RegExp(text, lower ? "iu" : "u") : null;
	} catch (error) {
		bar.input.classList.add("bad");
	}
	for (const box of boxes) {
		const hit = Boolean(regex) && !box.merged && regex.test(box.full || box.name);

		box.group.classList.toggle("match", hit);
		if (hit && box.x >= end) {
			counted += box.n;
			end = box.x + box.n;
		} else if (regex && box.merged && box.x >= end && box.x >= unsureEnd) {
			unsure += box.n;
			unsureEnd = box.x + box.n;
		}
	}
	svg.classList.toggle("searching", Boolean(regex));
	if (!text)
		bar.matched.textContent = "";
	else if (!regex)
		bar.matched.textContent = "not a regular expression";
	else
		bar.matched.textContent = "matched " + percent(counted) +
			(unsure ? " to " + percent(counted + unsure) : "");
	bar.matched.title = regex && unsure ? "frames merged for size cannot be searched: they hold " +
		percent(unsure) + " of the samples" : "";
	remember();
}

function percent(n) {
	return (100 * n / total).toFixed(2) + "%";
}

function describe(box) {
	const seconds = periodNs ? " \u00b7 " + (box.n * periodNs / 1e9).toFixed(2) + " s" : "";

	const change = box.was === null ? "" : " \u00b7 was " + box.was.toFixed(2) + "% (" +
		(100 * box.n / total >= box.was ? "+" : "\u2212") +
		Math.abs(100 * box.n / total - box.was).toFixed(2) + " points)";

	return box.name + "  \u2014  " + box.n.toLocaleString("en-US") +
		(box.n === 1 ? " sample" : " samples") + " \u00b7 " + percent(box.n) + change + seconds;
}

function status(box) {
	bar.status.textContent = box ? describe(box) : HINT;
	bar.status.classList.toggle("idle", !box);
}

// The state rides in the address, so that a link or a reload shows the same.
function remember() {
	const state = new URLSearchParams();

	if (zoomed) {
		state.set("x", zoomed.x);
		state.set("y", zoomed.depth);
	}
	if (pattern)
		state.set("s", pattern);
	try {
		history.replaceState(null, "", "#" + state.toString());
	} catch (error) {
		// Some viewers have no address.
	}
}

function recall() {
	const state = new URLSearchParams(location.hash.slice(1));

	if (state.has("y"))
		zoomed = boxes.find((box) => box.x === Number(state.get("x")) &&
			box.depth === Number(state.get("y")) && !box.merged) || null;
	if (state.get("s")) {
		bar.input.value = state.get("s");
		search(state.get("s"));
	}
}

function element(name, className, text) {
	const node = document.createElementNS(XHTML, name);

	node.className = className;
	node.textContent = text;
	return node;
}

function makeBar() {
	const holder = document.createElementNS(SVG, "foreignObject");

	bar = element("div", "bar", "");
	bar.status = element("span", "status idle", HINT);
	bar.matched = element("span", "matched", "");
	bar.input = element("input", "search", "");
	bar.input.setAttribute("placeholder", "search (regex)");
	bar.input.setAttribute("aria-label", "search frames by regular expression");
	bar.input.setAttribute("spellcheck", "false");
	bar.reset = element("button", "reset", "reset zoom");
	bar.reset.hidden = true;
	bar.append(bar.status, bar.matched, bar.input, bar.reset);
	holder.setAttribute("height", 36);
	holder.setAttribute("x", 0);
	holder.appendChild(bar);
	svg.appendChild(holder);
	bar.holder = holder;
	bar.y = Number(frames.getAttribute("y")) - 42;
}

function stick() {
	const top = Math.max(bar.y, window.scrollY || 0);

	bar.holder.setAttribute("y", top);
	bar.classList.toggle("stuck", top > bar.y);
}

function resize() {
	width = Math.max(320, document.documentElement.clientWidth || window.innerWidth || 1200);
	frames.setAttribute("width", width - 2 * PAD);
	bar.holder.setAttribute("width", width);
	for (const text of svg.querySelectorAll(".fits"))
		text.firstChild.data = fit(text.dataset.whole,
			Math.floor((width - 2 * PAD) / Number(text.dataset.w)));
	for (const text of svg.querySelectorAll(".right"))
		text.setAttribute("x", width - PAD);
	draw();
}

function toggleLedger() {
	const hide = !ledger.hasAttribute("display");

	if (hide)
		ledger.setAttribute("display", "none");
	else
		ledger.removeAttribute("display");
	svg.setAttribute("height", baseHeight + (hide ? 0 : Number(ledger.dataset.height)));
	byId("toggle").setAttribute("aria-expanded", String(!hide));
	if (!hide)
		window.scrollTo(0, document.documentElement.scrollHeight);
}

function boxAt(target) {
	const group = target.closest && target.closest(".f");

	return group ? boxes[Number(group.index)] : null;
}

function onKey(event) {
	const typing = event.target === bar.input;
	const find = event.key === "F3" || (event.key === "f" && (event.ctrlKey || event.metaKey));

	if (find || (event.key === "/" && !typing)) {
		event.preventDefault();
		bar.input.focus();
		bar.input.select();
	} else if (event.key === "Escape" && bar.input.value) {
		bar.input.value = "";
		search("");
	} else if (event.key === "Escape") {
		bar.input.blur();
		zoom(null);
	} else if (event.key === "Enter" && event.target === byId("toggle")) {
		toggleLedger();
	}
}

function listen() {
	frames.addEventListener("mouseover", (event) => status(boxAt(event.target)));
	frames.addEventListener("mouseleave", () => status(null));
	frames.addEventListener("click", (event) => {
		const box = boxAt(event.target);

		if (box && !box.merged)
			zoom(box === zoomed ? null : box);
	});
	bar.input.addEventListener("input", () => search(bar.input.value));
	bar.reset.addEventListener("click", () => zoom(null));
	byId("toggle").addEventListener("click", toggleLedger);
	window.addEventListener("keydown", onKey);
	window.addEventListener("scroll", stick, { passive: true });
	window.addEventListener("resize", () => { resize(); stick(); });
}

function measure() {
	const probe = document.createElementNS(SVG, "text");

	probe.textContent = "mmmmmmmmmm";
	foot.appendChild(probe);
	charWidth = probe.getComputedTextLength() / 10 || charWidth;
	probe.remove();
}

svg.removeAttribute("viewBox");
svg.setAttribute("width", "100%");
readBoxes();
boxes.forEach((box, index) => { box.group.index = index; });
measure();
makeBar();
frames.classList.add("zoomable");
recall();
resize();
stick();
listen();
})();

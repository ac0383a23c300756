// SPDX-License-Identifier: LGPL-2.1-or-later
// The page of pshared: asks the API of the daemon that it came from, and shows what it says. What
// a VM says of itself is text, never markup. Whoever wants less motion is shown less often.
"use strict";

const MIB = 1 << 20;
const KEPT = 600; // moments in the chart
const LEAST = 120; // seconds that the chart is wide, at least
const CALM = matchMedia("(prefers-reduced-motion: reduce)");
const DARK = matchMedia("(prefers-color-scheme: dark)");
const every = () => CALM.matches ? 10000 : 2000;
const at = id => document.getElementById(id);

// What the chart stacks, from below: name, colour, how much of a status it is.
const SCOPES = {
	vms: [
		["VMs' own pages", "private", s => Math.max(0, s.memory.consumed - s.pshare.common - s.memory.zip_bytes)],
		["frames, shared", "shared", s => s.pshare.common],
		["compressed pages", "zipped", s => s.memory.zip_bytes],
		["saved by sharing", "zero", s => s.pshare.saving],
		["in balloons", "balloon", s => s.memory.balloon],
		["saved by compression", "staged", s => Math.max(0, s.memory.zipped - s.memory.zip_bytes)],
		["swapped", "swapped", s => s.memory.swapped],
	],
	host: [
		["VMs' own pages", "private", s => Math.max(0, s.memory.consumed - s.pshare.common - s.memory.zip_bytes)],
		["frames, shared", "shared", s => s.pshare.common],
		["compressed pages", "zipped", s => s.memory.zip_bytes],
		["all else", "other", s => Math.max(0, s.memory.managed - s.memory.free - s.memory.consumed)],
		["free", "free", s => s.memory.free],
	],
};

// Words for states of memory, where the API's own are short.
const WORDS = {
	none: "nothing there", private: "the VM's own", large: "in huge pages", shared: "shared",
	zero: "zeros", broken: "shared, then written", staged: "taken out, whole",
	twin: "equal to others, out", zipped: "compressed", swapped: "swapped",
};

const state = {
	scope: "vms", past: [], paused: false, timer: 0, asking: false, vm: null, picture: null,
	cell: 0, moment: -1, vms: [],
};

// ---- words and colours ----

const mib = bytes => (bytes / MIB).toFixed(bytes < 100 * MIB ? 1 : 0);

function size(bytes) {
	if (bytes >= 1 << 30)
		return (bytes / (1 << 30)).toFixed(2) + " GiB";
	return bytes >= MIB ? mib(bytes) + " MiB" : Math.round(bytes / 1024) + " KiB";
}

function colour(name) {
	return getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();
}

function rgb(name) {
	const n = parseInt(colour(name).slice(1), 16);
	return [n >> 16, n >> 8 & 255, n & 255];
}

function element(tag, text, cls) {
	const e = document.createElement(tag);
	if (text !== undefined)
		e.textContent = text;
	if (cls)
		e.className = cls;
	return e;
}

function swatch(name) {
	const e = element("span", "", "swatch");
	e.style.backgroundColor = colour(name);
	e.setAttribute("aria-hidden", "true");
	return e;
}

// Text that is the same is not set again: a screen reader would say it again.
function say(e, text) {
	if (e.textContent !== text)
		e.textContent = text;
}

// ---- the chart ----

// Lines across at round sizes, and a mark each minute (or so many that they do not touch).
function drawScale(c, w, h, top, seconds) {
	c.font = "12px system-ui, sans-serif";
	c.textAlign = "left";
	let step = 2 ** Math.ceil(Math.log2(top / 4));
	for (let v = 0; v < top; v += step) {
		const at = Math.round(h - v / top * h) - .5;
		c.fillStyle = colour("line");
		c.fillRect(0, at, w, 1);
		c.fillStyle = colour("text");
		c.fillText(v ? size(v) : "0", 4, at - 4);
	}
	c.textAlign = "center";
	step = [1, 2, 5, 10, 20].find(m => w * m * 60 / seconds > 70) || 60;
	for (let m = step; m * 60 < seconds * .97; m += step) {
		const at = w - m * 60 / seconds * w;
		c.fillRect(at, h - 6, 1, 6);
		c.fillText("−" + m + " min", at, h - 9);
	}
}

function drawChart() {
	const canvas = at("chart"), scope = SCOPES[state.scope], past = state.past;
	const ratio = devicePixelRatio || 1;
	const w = canvas.clientWidth, h = canvas.clientHeight;
	canvas.width = w * ratio;
	canvas.height = h * ratio;
	const c = canvas.getContext("2d");
	c.scale(ratio, ratio);
	c.clearRect(0, 0, w, h);
	if (!past.length)
		return;
	const sums = past.map(p => scope.reduce((sum, part) => sum + part[2](p.status), 0));
	const top = Math.max(...sums, 1) * 1.05;
	const last = past[past.length - 1].time;
	const seconds = Math.max(LEAST, (last - past[0].time) / 1000);
	const x = i => w - (last - past[i].time) / 1000 / seconds * w;
	const y = v => h - v / top * h;
	let below = past.map(() => 0);
	for (const [, name, of] of scope) {
		const above = past.map((p, i) => below[i] + of(p.status));
		c.beginPath();
		past.forEach((p, i) => c.lineTo(x(i), y(above[i])));
		for (let i = past.length - 1; i >= 0; i--)
			c.lineTo(x(i), y(below[i]));
		c.closePath();
		c.fillStyle = colour(name);
		c.fill();
		if (past.length === 1)
			c.fillRect(w - 3, y(above[0]), 3, y(below[0]) - y(above[0]));
		below = above;
	}
	drawScale(c, w, h, top, seconds);
	c.fillStyle = colour("text");
	if (state.moment >= 0) {
		c.fillRect(x(Math.min(state.moment, past.length - 1)), 0, 1, h);
	}
	canvas.setAttribute("aria-label", "Memory over time, stacked: " + momentText(past.length - 1));
}

function momentText(i) {
	const p = state.past[i];
	return p ? new Date(p.time).toLocaleTimeString() + ": " + SCOPES[state.scope].map(
		([text, , of]) => text + " " + size(of(p.status))).join(", ") : "";
}

function drawLegend() {
	at("chart-legend").replaceChildren(...SCOPES[state.scope].map(([text, name]) => {
		const li = element("li");
		li.append(swatch(name), text);
		return li;
	}));
	const row = element("tr");
	for (const text of ["Time", ...SCOPES[state.scope].map(p => p[0] + ", MiB")]) {
		const th = element("th", text, text === "Time" ? "" : "n");
		th.scope = "col";
		row.append(th);
	}
	at("chart-table").tHead.replaceChildren(row);
	drawTable();
}

function drawTable() {
	if (!at("chart-table").closest("details").open)
		return;
	at("chart-table").tBodies[0].replaceChildren(...state.past.slice(-60).reverse().map(p => {
		const tr = element("tr");
		const th = element("th", new Date(p.time).toLocaleTimeString());
		th.scope = "row";
		tr.append(th, ...SCOPES[state.scope].map(part => element("td", mib(part[2](p.status)), "n")));
		return tr;
	}));
}

function chartKey(event) {
	const step = {ArrowLeft: -1, ArrowRight: 1}[event.key];
	if (!step || !state.past.length)
		return;
	event.preventDefault();
	const now = state.moment < 0 ? state.past.length : state.moment;
	state.moment = Math.min(Math.max(0, now + step), state.past.length - 1);
	say(at("chart-says"), momentText(state.moment));
	drawChart();
}

// ---- cells ----

// One pixel a cell, as paler as less of it is in that state.
function paint(canvas, states, parts, legend, columns) {
	const rows = Math.max(1, Math.ceil(states.length / columns));
	const image = new ImageData(columns, rows);
	const ground = rgb("none"), colours = {};
	for (let i = 0; i < states.length; i++) {
		const letter = states[i];
		const c = colours[letter] ||= rgb(legend[letter] || "outside");
		const part = letter === "." ? 1 : .35 + .65 * parseInt(parts[i], 16) / 15;
		for (let k = 0; k < 3; k++)
			image.data[4 * i + k] = ground[k] + (c[k] - ground[k]) * part;
		image.data[4 * i + 3] = letter === " " ? 0 : 255;
	}
	canvas.width = columns;
	canvas.height = rows;
	canvas.getContext("2d").putImageData(image, 0, 0);
}

function countStates(states, parts, legend) {
	const count = {};
	for (let i = 0; i < states.length; i++) {
		const c = count[legend[states[i]]] ||= [0, 0];
		c[0]++;
		c[1] += parseInt(parts[i], 16) / 15;
	}
	return count;
}

function stripText(vm, strip, legend) {
	const count = countStates(strip.states, strip.parts, legend);
	const all = strip.states.length || 1;
	return "Memory of " + vm.name + ": " + (Object.entries(count).sort((a, b) => b[1][0] - a[1][0])
		.map(([name, [n]]) => name + " " + Math.round(100 * n / all) + " %").join(", ") || "no picture");
}

// ---- VMs ----

const COLUMNS = [
	vm => vm.domain,
	vm => vm.reason ? vm.state + ": " + vm.reason : vm.state,
	vm => mib(vm.size), vm => mib(vm.GRANT), vm => mib(vm.SHRD), vm => mib(vm.SHRDSVD),
	vm => mib(vm.memory.MCTLSZ), vm => mib(vm.memory.zipped), vm => mib(vm.memory.SWCUR),
	vm => (100 * vm.progress.done).toFixed(0),
];

function newRow(vm) {
	const tr = element("tr"), th = element("th"), button = element("button", vm.name);
	th.scope = "row";
	button.type = "button";
	button.setAttribute("aria-expanded", "false");
	button.setAttribute("aria-controls", "picture");
	button.addEventListener("click", () => choose(state.vm === vm.name ? null : vm.name));
	th.append(button);
	tr.append(th);
	COLUMNS.forEach((column, i) => tr.append(element("td", "", i > 1 ? "n" : "")));
	const td = element("td"), canvas = element("canvas", undefined, "strip");
	canvas.setAttribute("role", "img");
	td.append(canvas);
	tr.append(td);
	tr.dataset.vm = vm.name;
	return tr;
}

// What the colours of the pictures mean: those that are in one of them.
function drawStates(pictures) {
	const there = new Set(pictures.vms.flatMap(strip => [...strip.states]));
	const names = Object.entries(pictures.states)
		.filter(([letter, name]) => there.has(letter) && name !== "outside").map(([, name]) => name);
	const key = names.join() + DARK.matches, list = at("states-legend");
	if (list.dataset.key === key)
		return;
	list.dataset.key = key;
	list.replaceChildren(...names.map(name => {
		const li = element("li");
		li.append(swatch(name), WORDS[name] || name);
		return li;
	}));
}

function drawVms(vms, pictures) {
	const body = at("vms").tBodies[0];
	const rows = new Map([...body.rows].map(row => [row.dataset.vm, row]));
	const strips = new Map(pictures.vms.map(strip => [strip.name, strip]));
	vms.forEach((vm, i) => {
		const row = rows.get(vm.name) || newRow(vm);
		rows.delete(vm.name);
		if (body.rows[i] !== row)
			body.insertBefore(row, body.rows[i] || null);
		COLUMNS.forEach((column, k) => say(row.cells[k + 1], column(vm)));
		row.cells[2].title = vm.why || "";
		row.querySelector("button").setAttribute("aria-expanded", String(vm.name === state.vm));
		const strip = strips.get(vm.name), canvas = row.querySelector("canvas");
		if (strip) {
			paint(canvas, strip.states, strip.parts, pictures.states,
				Math.max(1, Math.ceil(strip.states.length / 4)));
			canvas.setAttribute("aria-label", stripText(vm, strip, pictures.states));
		}
	});
	rows.forEach(row => row.remove());
	drawStates(pictures);
	at("no-vms").hidden = vms.length > 0;
}

function drawFamilies(vms) {
	const domains = new Map(), children = new Map();
	const names = new Set(vms.map(vm => vm.name));
	for (const vm of vms) {
		const parent = vm.family && names.has(vm.family.parent) ? vm.family.parent : null;
		const map = parent ? children : domains, key = parent || vm.domain;
		map.set(key, [...map.get(key) || [], vm]);
	}
	const list = group => group.map(vm => {
		const li = element("li", vm.name + ", saves " + mib(vm.SHRDSVD) + " MiB" +
			(vm.family ? ", " + vm.family.birth + " of " + vm.family.parent : ""));
		if (children.has(vm.name)) {
			const ul = element("ul");
			ul.append(...list(children.get(vm.name)));
			li.append(ul);
		}
		return li;
	});
	const items = [...domains].map(([domain, group]) => {
		const li = element("li", domain === "-" ? "in no domain" : "domain " + domain);
		const ul = element("ul");
		ul.append(...list(group));
		li.append(ul);
		return li;
	});
	// only where it changed: whoever reads it is not thrown out
	const fresh = element("ul");
	fresh.append(...items);
	if (fresh.innerHTML !== at("families").innerHTML)
		at("families").replaceChildren(...items);
}

// ---- one VM's picture ----

function choose(name) {
	state.vm = name;
	state.picture = null;
	state.cell = 0;
	at("picture").hidden = !name;
	say(at("picture-name"), name || "");
	say(at("cell-says"), "");
	for (const row of at("vms").tBodies[0].rows)
		row.querySelector("button").setAttribute("aria-expanded", String(row.dataset.vm === name));
	if (name)
		look();
}

// All regions, one behind the other.
function joined(picture) {
	return {
		states: picture.regions.map(r => r.states).join(""),
		parts: picture.regions.map(r => r.parts).join(""),
	};
}

function columnsOf(cells) {
	const wide = Math.ceil(Math.sqrt(cells * 2.5) / 16) * 16;
	return Math.max(16, Math.min(256, wide));
}

function drawPicture() {
	const picture = state.picture, canvas = at("cells");
	if (!picture)
		return;
	const {states, parts} = joined(picture);
	const columns = columnsOf(states.length), rows = Math.max(1, Math.ceil(states.length / columns));
	paint(canvas, states, parts, picture.states, columns);
	canvas.style.aspectRatio = columns + " / " + rows;
	if (document.activeElement === canvas && states.length) {
		const c = canvas.getContext("2d");
		c.fillStyle = colour("focus");
		c.fillRect(state.cell % columns, Math.floor(state.cell / columns), 1, 1);
	}
	say(at("picture-about"), states.length ? "Each pixel is " + size(picture.cell_bytes) +
		", from the first address on, line by line; drawn " + (picture.age_s === null ? "never" :
		picture.age_s.toFixed(0) + " s ago") + ". Paler: less of it is in that state."
		: "There is no picture: its agent is of an older version, or has just come.");
	const count = countStates(states, parts, picture.states);
	const body = at("states").tBodies[0];
	const wanted = Object.values(picture.states).filter(name => name !== "outside" && count[name]);
	const fresh = wanted.map(name => {
		const tr = element("tr"), th = element("th");
		th.scope = "row";
		th.append(swatch(name), WORDS[name] || name);
		tr.append(th, element("td", String(count[name][0]), "n"),
			element("td", mib(count[name][1] * picture.cell_bytes), "n"));
		return tr;
	});
	body.replaceChildren(...fresh);
}

function cellText(i) {
	const picture = state.picture, {states, parts} = joined(picture);
	let n = i;
	for (const region of picture.regions) {
		if (n < region.states.length)
			return "at " + ((region.base + n * picture.cell_bytes) / MIB).toFixed(3) + " MiB: " +
				(WORDS[picture.states[states[i]]] || picture.states[states[i]]) + ", " +
				Math.round(100 * parseInt(parts[i], 16) / 15) + " % of it";
		n -= region.states.length;
	}
	return "";
}

function cellKey(event) {
	if (!state.picture)
		return;
	const all = joined(state.picture).states.length;
	const columns = columnsOf(all);
	const to = {ArrowLeft: state.cell - 1, ArrowRight: state.cell + 1, ArrowUp: state.cell - columns,
		ArrowDown: state.cell + columns, Home: 0, End: all - 1}[event.key];
	if (to === undefined)
		return;
	event.preventDefault();
	if (to >= 0 && to < all)
		state.cell = to;
	say(at("cell-says"), cellText(state.cell));
	drawPicture();
}

function cellPointer(event) {
	const canvas = at("cells"), box = canvas.getBoundingClientRect();
	const x = Math.floor((event.clientX - box.left) / box.width * canvas.width);
	const y = Math.floor((event.clientY - box.top) / box.height * canvas.height);
	const i = y * canvas.width + x;
	if (state.picture && i >= 0 && i < joined(state.picture).states.length)
		say(at("cell-says"), cellText(i));
}

// ---- asking ----

async function ask(path) {
	const answer = await fetch(path, {cache: "no-store"});
	if (!answer.ok)
		throw new Error((await answer.json()).detail);
	return answer.json();
}

function drawHead(status) {
	say(at("version"), status.version);
	say(at("summary"), status.vms + (status.vms === 1 ? " VM" : " VMs") + " in " + status.domains +
		(status.domains === 1 ? " domain" : " domains") + "; sharing saves " + size(status.pshare.saving) +
		"; memory state: " + status.state);
	at("done").value = status.progress.done;
	say(at("done-text"), status.progress.settled ? "100 %, settled" :
		(100 * status.progress.done).toFixed(0) + " %, " + size(status.progress.remaining) + " still expected");
}

async function look() {
	if (state.asking)
		return;
	state.asking = true;
	try {
		const [status, {vms}, pictures] = await Promise.all(
			[ask("/v1/status"), ask("/v1/vms"), ask("/v1/picture")]);
		state.past.push({time: Date.now(), status});
		if (state.past.length > KEPT)
			state.past.shift();
		state.vms = vms;
		drawHead(status);
		drawChart();
		drawTable();
		drawVms(vms, pictures);
		drawFamilies(vms);
		if (state.vm && !vms.some(vm => vm.name === state.vm))
			choose(null);
		if (state.vm) {
			state.picture = await ask("/v1/vms/" + encodeURIComponent(state.vm) + "/picture");
			drawPicture();
		}
		at("trouble").hidden = true;
	} catch (error) {
		at("trouble").hidden = false;
		say(at("trouble"), "The daemon does not answer: " + error.message + ". What is shown is old.");
	}
	state.asking = false;
}

function begin() {
	clearInterval(state.timer);
	say(at("every"), String(every() / 1000));
	if (!state.paused)
		state.timer = setInterval(() => document.hidden || look(), every());
}

function redraw() {
	drawLegend();
	drawChart();
	drawPicture();
}

at("pause").addEventListener("click", () => {
	state.paused = !state.paused;
	at("pause").setAttribute("aria-pressed", String(state.paused));
	begin();
});
for (const radio of document.querySelectorAll("input[name=scope]"))
	radio.addEventListener("change", () => {
		state.scope = radio.value;
		redraw();
	});
at("chart").setAttribute("aria-describedby", "chart-help");
at("chart").addEventListener("keydown", chartKey);
at("chart").addEventListener("blur", () => {
	state.moment = -1;
	drawChart();
});
at("chart-table").closest("details").addEventListener("toggle", drawTable);
at("cells").addEventListener("keydown", cellKey);
at("cells").addEventListener("focus", drawPicture);
at("cells").addEventListener("blur", drawPicture);
at("cells").addEventListener("pointermove", cellPointer);
addEventListener("resize", redraw);
DARK.addEventListener("change", () => {
	redraw();
	look();
});
CALM.addEventListener("change", begin);
drawLegend();
begin();
look();

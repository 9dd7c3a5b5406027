// SPDX-License-Identifier: Apache-2.0
// browser.mjs - drives headless Chromium for test_*.py: node browser.mjs NODE_DIR COMMAND FILE [ARG]
// prints what it saw as JSON. Page errors and requests that leave the file go into it too.
import fs from "fs";
import http from "http";
import path from "path";
import { createRequire } from "module";

const [nodeDir, command, file, arg] = process.argv.slice(2);
const { chromium } = createRequire(nodeDir + "/")("playwright-core");
const seen = { errors: [], requests: [], dialogs: 0 };

function watch(page) {
	page.on("pageerror", (error) => seen.errors.push(error.message));
	page.on("request", (request) => seen.requests.push(request.url()));
	page.on("dialog", (dialog) => { seen.dialogs++; dialog.dismiss(); });
}

const status = (page) => page.textContent(".bar .status");
const shown = (page) => page.$$eval("g.f", (all) => all.filter((g) => !g.hasAttribute("display"))
	.map((g) => ({ title: g.querySelector("title").textContent,
		text: (g.querySelector("text") || {}).textContent || "",
		x: g.getBoundingClientRect().x, width: g.getBoundingClientRect().width })));

async function box(page, name) {
	return page.locator("g.f", { has: page.locator("title", { hasText: name }) }).first();
}

async function search(page, text) {
	await page.keyboard.press("Control+f");
	await page.keyboard.press("Control+a");
	await page.keyboard.press("Delete");
	await page.keyboard.type(text);
	return page.textContent(".bar .matched");
}

async function flame(page) {
	await page.goto("file://" + file);
	seen.title = await page.title();
	seen.all = await shown(page);
	seen.idle = await status(page);
	seen.text = await page.evaluate(() => document.documentElement.textContent);
	seen.scripts = await page.$$eval("script", (all) => all.length);
	const parse = await box(page, "parse (app/util.py:5)");
	await parse.hover();
	seen.hover = await status(page);
	await (await box(page, "Server.handle")).click();
	seen.zoomed = await shown(page);
	seen.address = page.url();
	await page.reload();
	seen.reloaded = await shown(page);
	await page.click(".bar .reset");
	seen.reset = await shown(page);
	seen.searches = {};
	for (const text of JSON.parse(arg))
		seen.searches[text] = await search(page, text);
	seen.matches = await page.$$eval("g.f.match title", (all) => all.map((t) => t.textContent));
	await page.keyboard.press("Escape");
	seen.cleared = await page.$$eval("g.f.match", (all) => all.length);
	seen.ledgerBefore = await page.isVisible("#ledger");
	await page.click("#toggle");
	seen.ledgerAfter = await page.isVisible("#ledger");
	await page.setViewportSize({ width: 700, height: 600 });
	await page.waitForFunction(() => document.getElementById("frames").getAttribute("width") < 700);
	seen.narrow = await shown(page);
	await page.emulateMedia({ colorScheme: "light" });
	const paper = () => page.$eval(".paper", (r) => getComputedStyle(r).fill);
	seen.light = await paper();
	await page.emulateMedia({ colorScheme: "dark" });
	seen.dark = await paper();
}

async function big(page) {
	await page.goto("file://" + file);
	seen.boxes = await page.$$eval("g.f", (all) => all.length);
	seen.merged = await page.$$eval("g.f[data-merged]", (all) =>
		all.reduce((sum, g) => sum + Number(g.dataset.merged), 0));
	seen.losses = await page.textContent("#losses");
	seen.searches = {};
	for (const text of JSON.parse(arg))
		seen.searches[text] = await search(page, text);
}

function serve(root) {
	const types = { ".html": "text/html", ".js": "text/javascript", ".css": "text/css" };
	const server = http.createServer((request, response) => {
		const name = new URL(request.url, "http://x").pathname;
		const from = name === "/p.speedscope.json" ? file : path.join(root, path.normalize(name));

		if (!fs.existsSync(from)) {
			response.statusCode = 404;
			response.end();
			return;
		}
		response.setHeader("content-type", types[path.extname(from)] || "application/octet-stream");
		response.end(fs.readFileSync(from));
	});

	return new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(server)));
}

// The sandwich view is a table: what speedscope itself makes of self and total.
async function speedscope(page) {
	const server = await serve(path.join(nodeDir, "node_modules/speedscope/dist/release"));
	const base = `http://127.0.0.1:${server.address().port}/`;

	await page.goto(base + "index.html#profileURL=" + encodeURIComponent(base + "p.speedscope.json"));
	await page.waitForFunction(() => document.body.innerText.includes("Sandwich") &&
		document.title !== "speedscope");
	seen.title = await page.title();
	await page.keyboard.press("3");
	await page.waitForFunction(() => document.body.innerText.includes("Symbol Name"));
	seen.text = await page.evaluate(() => document.body.innerText);
	seen.requests = [];
	server.close();
}

const browser = await chromium.launch({
	executablePath: process.env.CHROMIUM || "/usr/bin/chromium",
	args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
});
const page = await browser.newPage({ viewport: { width: 1280, height: 700 } });

watch(page);
await { flame, big, speedscope }[command](page);
await browser.close();
// Left to drain: an exit would cut what a pipe has not taken yet.
process.stdout.write(JSON.stringify(seen));

/** A browser, a server for the built page, and the command to compare with. */

import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { extname, join, normalize } from 'node:path';
import { after, before } from 'node:test';
import { chromium } from 'playwright-core';

export const root = new URL('../../', import.meta.url).pathname;
export const built = join(root, 'target/playground');
const target = process.env.CARGO_TARGET_DIR ?? join(root, 'target');
const command = process.env.FOURTUPLE ?? join(target, 'release/fourtuple');

const TYPES = {
    '.html': 'text/html; charset=utf-8',
    '.js': 'text/javascript',
    '.css': 'text/css',
    '.svg': 'image/svg+xml',
    '.wasm': 'application/wasm',
};

/** Serves the page below a directory: it must not assume that it is at the root. */
async function serve() {
    const server = createServer((request, response) => {
        const path = decodeURIComponent(new URL(request.url, 'http://localhost').pathname);
        const file = join(built, normalize(path.replace(/^\/a\/(?:b|playground)\//, '/')).replace(/\/$/, '/index.html'));
        try {
            const body = readFileSync(file);
            response.writeHead(200, { 'content-type': TYPES[extname(file)] ?? 'text/plain' });
            response.end(body);
        } catch {
            response.writeHead(404).end();
        }
    });
    await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
    return { address: `http://127.0.0.1:${server.address().port}/a/b/`, close: () => server.close() };
}

/** Starts Debian's browser with a profile of its own, without its own connections. */
async function launch() {
    const profile = mkdtempSync(join(tmpdir(), 'playground-'));
    const browser = await chromium.launch({
        executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
        args: [
            '--no-sandbox',
            '--disable-gpu',
            '--disable-quic',
            '--no-first-run',
            '--disable-background-networking',
            '--disable-component-update',
            '--disable-sync',
            `--crash-dumps-dir=${profile}`,
        ],
    });
    return {
        browser,
        close: async () => {
            await browser.close();
            rmSync(profile, { recursive: true, force: true });
        },
    };
}

/** The page and a browser for all tests of a file. */
export function site() {
    const site = {};
    let server;
    let chrome;
    before(async () => {
        server = await serve();
        site.address = server.address;
        chrome = await launch();
        site.browser = chrome.browser;
    });
    after(async () => {
        await chrome?.close();
        server?.close();
    });
    return site;
}

/** The output of the command, in the repository's root. */
export function fourtuple(...args) {
    try {
        return execFileSync(command, args, { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
    } catch (error) {
        // Exit status 1 means that an expectation is not met; the output is the same.
        if (error.status === 1) {
            return error.stdout;
        }
        throw error;
    }
}

/** The scenarios of the repository, as paths from its root. */
export function corpus() {
    const files = readdirSync(join(root, 'scenarios'), { recursive: true });
    return files.filter((file) => file.endsWith('.yaml')).map((file) => `scenarios/${file}`).sort();
}

/** A page that fails the test on errors, violations of its policy and foreign requests. */
export async function open(browser, address, options = {}) {
    const context = await browser.newContext({ viewport: { width: 1360, height: 860 }, ...options });
    const page = await context.newPage();
    const complaints = [];
    page.on('pageerror', (error) => complaints.push(String(error)));
    page.on('console', (message) => {
        if (message.type() === 'error') {
            complaints.push(message.text());
        }
    });
    page.on('dialog', (dialog) => {
        complaints.push(`dialog: ${dialog.message()}`);
        void dialog.dismiss();
    });
    page.on('request', (request) => {
        if (!request.url().startsWith(address.slice(0, address.indexOf('/a/b/')))) {
            complaints.push(`request: ${request.url()}`);
        }
    });
    await page.goto(address);
    await answered(page, 1);
    return { page, complaints, close: () => context.close() };
}

/** Waits until the page has answered so often. */
export async function answered(page, times) {
    await page.waitForFunction((n) => Number(document.body.dataset.answered ?? 0) >= n, times);
}

/** The number of answers so far. */
export function answers(page) {
    return page.evaluate(() => Number(document.body.dataset.answered ?? 0));
}

/** Replaces the text of the editor as a person does, and waits for the answer. */
export async function write(page, text) {
    const before = await answers(page);
    const editor = page.getByRole('textbox', { name: 'Scenario in YAML' });
    await editor.click();
    await page.keyboard.press('Control+A');
    // Typed over a selection, text would get styles from the browser, which the page's policy refuses.
    await page.keyboard.press('Delete');
    await answered(page, before + 1);
    await page.keyboard.insertText(text);
    await answered(page, before + 2);
    await page.waitForFunction(() => !document.querySelector('.content[aria-busy]'));
}

/** Shows a tab of the answers. */
export async function show(page, name) {
    await page.getByRole('tab', { name, exact: true }).click();
    await page.waitForFunction(() => !document.querySelector('.panel:not([hidden]) .content[aria-busy]'));
}

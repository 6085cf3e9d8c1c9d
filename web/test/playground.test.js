/** What people do with the page, in a browser. */

import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { brotliCompressSync, inflateRawSync } from 'node:zlib';
import { answered, answers, built, corpus, fourtuple, open, root, show, site, write } from './support.js';

/** Most bytes of all files of the page, compressed. */
const MOST_BYTES = 2 * 1024 * 1024;
/** Most time of an answer to a scenario of the corpus, in the median over all. */
const KEYSTROKE_MS = 100;

const REPORT = 'scenarios/rhel-6.5/connect-after-bind.yaml';
const SS = `State     Recv-Q Send-Q Local Address:Port  Peer Address:Port
ESTAB     0      0      10.0.0.1:40000      10.0.0.9:443
ESTAB     0      0      10.0.0.1:40001      10.0.0.9:443
TIME-WAIT 0      0      10.0.0.1:40002      10.0.0.9:443
`;
const NETSTAT = `Active Internet connections (servers and established)
Proto Recv-Q Send-Q Local Address           Foreign Address         State
tcp        0      0 10.0.0.1:40000          10.0.0.9:443            ESTABLISHED
`;
const PROC = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100000A:9C40 0900000A:01BB 01 00000000:00000000 00:00000000 00000000  1000        0 12345 1 0000000000000000 20 4 30 10 -1
`;

const at = site();

/** Runs a test on a page of its own, which must not complain. */
async function on(options, body) {
    const { page, complaints, close } = await open(at.browser, at.address, options);
    try {
        await body(page);
        assert.deepEqual(complaints, []);
    } finally {
        await close();
    }
}

/** Starts a run that the page only announces. */
async function startIfLong(page) {
    await page.waitForFunction(() => performance.getEntriesByName('answer').length > 0);
    const go = page.getByRole('button', { name: 'Run it' });
    if (await go.isVisible()) {
        await go.click();
    }
}

/** Fills the box of a tool. */
async function paste(page, tool, text) {
    await page.getByRole('tab', { name: tool, exact: true }).click();
    const name = tool === '/proc/net/tcp' ? /^Output of cat/ : new RegExp(`^Output of ${tool}`);
    await page.getByRole('textbox', { name }).fill(text);
}

async function importAll(page) {
    const before = await answers(page);
    await page.getByRole('button', { name: 'Make a scenario of it' }).click();
    await answered(page, before + 1);
}

const printed = (page) => page.locator('#panel-text pre').first().textContent();

describe('answers', () => {
    test('every scenario of the corpus has the bytes of the command', async (t) => {
        await on({}, async (page) => {
            await show(page, 'Text');
            const times = [];
            const files = corpus();
            for (const file of files) {
                const expected = fourtuple('run', file, '--engine', 'model');
                const name = file.slice('scenarios/'.length, -'.yaml'.length);
                await page.evaluate((corpus) => {
                    performance.clearMeasures();
                    location.hash = new URLSearchParams({ corpus }).toString();
                }, name);
                await startIfLong(page);
                await page
                    .waitForFunction(
                        (text) => document.querySelector('#panel-text pre')?.textContent === text,
                        expected,
                        { timeout: 10_000 },
                    )
                    .catch(async () => assert.equal(await printed(page), expected, file));
                times.push(await page.evaluate(() => performance.getEntriesByName('answer').at(-1)?.duration));
            }
            times.sort((a, b) => a - b);
            const median = times[Math.floor(times.length / 2)];
            t.diagnostic(`${files.length} scenarios with equal bytes; answers take ${median.toFixed(1)} ms in the median, ${times.at(-1).toFixed(1)} ms at most`);
            assert.ok(files.length > 150);
            assert.ok(median < KEYSTROKE_MS, `${median} ms`);
        });
    });

    test('the page is small, and answers soon after it is loaded', async (t) => {
        const files = readdirSync(built, { recursive: true, withFileTypes: true }).filter((one) => one.isFile());
        const bytes = files.map((one) => brotliCompressSync(readFileSync(join(one.parentPath ?? one.path, one.name))).length);
        const sum = bytes.reduce((a, b) => a + b, 0);
        await on({}, async (page) => {
            const first = await page.evaluate(() => {
                const [entry] = performance.getEntriesByName('answer');
                return entry.startTime + entry.duration;
            });
            t.diagnostic(`${files.length} files, ${sum} bytes compressed; first answer after ${first.toFixed(0)} ms`);
        });
        assert.ok(sum <= MOST_BYTES, `${sum} bytes`);
    });

    test('a wrong field is marked where it is, with the words of the command', async () => {
        await on({}, async (page) => {
            const text = readFileSync(join(root, REPORT), 'utf8').replace('count:', 'cuont:');
            await write(page, text);
            const problem = page.locator('.problems li').first();
            await problem.waitFor();
            const line = text.split('\n').findIndex((one) => one.includes('cuont')) + 1;
            assert.match(await problem.textContent(), new RegExp(`^${line}:\\d+.*cuont`, 's'));
            assert.match(await page.locator('#panel-results pre').textContent(), /--> scenario\.yaml:\d+:\d+/);
            assert.equal(await page.locator('.cm-lintRange-error').count(), 1);
            await problem.getByRole('button').click();
            assert.match(await page.locator('.cm-activeLine').textContent(), /cuont/);
        });
    });

    test('fields are completed and documented', async () => {
        await on({}, async (page) => {
            await write(page, 'about: x\nhosts:\n  h:\n    addr');
            await page.keyboard.press('Control+Space');
            const option = page.locator('.cm-tooltip-autocomplete li').first();
            await option.waitFor();
            assert.match(await option.textContent(), /^addresses/);
            await page.keyboard.press('Escape');
            await page.locator('.cm-line').nth(1).getByText('hosts').hover();
            await page.locator('.documentation').waitFor();
            assert.match(await page.locator('.documentation').textContent(), /hosts by name/i);
        });
    });

    test('kernel and seed override those of the scenario', async () => {
        await on({}, async (page) => {
            const slider = page.getByRole('slider', { name: 'Kernel' });
            await slider.focus();
            await page.keyboard.press('End');
            const name = await page.locator('.control output').textContent();
            assert.match(name, /^linux-\d/);
            await page.locator('.sentence', { hasText: name }).waitFor();
            await page.keyboard.press('Home');
            await page.locator('.sentence:not(:has-text("' + name + '."))').waitFor();
            const before = await answers(page);
            await page.getByRole('button', { name: 'Roll a seed' }).click();
            await answered(page, before + 1);
            assert.match(await page.getByRole('spinbutton', { name: 'Seed' }).inputValue(), /^\d+$/);
        });
    });
});

describe('views', () => {
    test('a fix is shown as a diff, applied, works, and is undone', async () => {
        await on({}, async (page) => {
            const before = await page.locator('.sentence').textContent();
            assert.match(before, /get no port/);
            await show(page, 'Fixes');
            const button = page.getByRole('button', { name: /^Apply: / }).first();
            await button.click();
            const dialog = page.getByRole('dialog');
            assert.ok((await dialog.locator('.diff .added').count()) > 0);
            const runs = await answers(page);
            await dialog.getByRole('button', { name: 'Apply the fix' }).click();
            await answered(page, runs + 1);
            assert.match(await page.locator('.sentence').textContent(), /get what they ask for/);
            await page.getByRole('textbox', { name: 'Scenario in YAML' }).click();
            await page.keyboard.press('Control+Z');
            await page.locator('.sentence', { hasText: 'get no port' }).waitFor();
        });
    });

    test('steps go forwards and backwards with the buckets after each call', async () => {
        await on({}, async (page) => {
            await show(page, 'Ports and steps');
            const buckets = page.locator('.bucket');
            const all = await buckets.count();
            assert.ok(all >= 4);
            await page.getByRole('button', { name: 'First step' }).click();
            assert.match(await page.locator('.call').textContent(), /Before the first call/);
            const start = await buckets.count();
            await page.getByRole('button', { name: 'Step forward' }).click();
            assert.match(await page.locator('.call').textContent(), /1 of \d+/);
            assert.equal(await page.locator('.bucket.new').count(), 1);
            await page.getByRole('button', { name: 'Step back' }).click();
            assert.equal(await buckets.count(), start);
            await page.locator('.strip .use.bound').first().hover();
            assert.match(await page.locator('.detail').textContent(), /fastreuse 0.*owners/);
        });
    });

    test('kernels are columns, with the first change', async () => {
        await on({}, async (page) => {
            await write(page, readFileSync(join(root, REPORT), 'utf8').replace(/(binders: *\{)/, '$1 options: { bind_address_no_port: true },'));
            await show(page, 'Kernels');
            await page.getByText('First change: linux-4.2').waitFor();
            assert.ok((await page.locator('#panel-kernels thead th').count()) > 2);
        });
    });

    test('capacity has a curve with a text', async () => {
        await on({}, async (page) => {
            await page.evaluate(() => (location.hash = 'corpus=capacity/default-range'));
            await answered(page, 2);
            await show(page, 'Capacity');
            await page.locator('#panel-capacity table').first().waitFor();
        });
    });

    for (const [name, text] of Object.entries({ ss: SS, netstat: NETSTAT, '/proc/net/tcp': PROC })) {
        test(`output of ${name} becomes a scenario`, async () => {
            await on({}, async (page) => {
                await page.getByRole('tab', { name: 'Import', exact: true }).click();
                await paste(page, name, text);
                await paste(page, 'sysctl', 'net.ipv4.ip_local_port_range = 40000 40003\n');
                await importAll(page);
                assert.match(await page.locator('.cm-content').textContent(), /40000-40003/);
                assert.match(await page.locator('.sentence').textContent(), /socket/);
            });
        });
    }

    test('tabs are imported together, and lines that are not understood have their place', async () => {
        await on({}, async (page) => {
            await page.getByRole('tab', { name: 'Import', exact: true }).click();
            await page.getByRole('tab', { name: 'ss', exact: true }).focus();
            await page.keyboard.press('ArrowRight');
            assert.equal(await page.locator(':focus').textContent(), 'netstat');
            await paste(page, 'ss', SS);
            await page.getByText('Understood: 3 sockets: 2 connections, 1 in TIME-WAIT.').waitFor();
            await paste(page, 'netstat', `${NETSTAT}tcp what is this\ntcp 0 0 10.0.0.1:40003 10.0.0.9:443 ESTABLISHED\n`);
            await page.getByRole('button', { name: 'Line 4' }).click();
            const box = page.getByRole('textbox', { name: /^Output of netstat/ });
            const selected = await box.evaluate((box) => box.value.slice(box.selectionStart, box.selectionEnd));
            assert.equal(selected, 'tcp what is this');
            await paste(page, 'sysctl', 'net.ipv4.ip_local_port_range = 40000 40003\n');
            await page.getByText('Understood: net.ipv4.ip_local_port_range = 40000 40003.').waitFor();
            await importAll(page);
            assert.match(await page.locator('.question').textContent(), /4 sockets with a port/);
            await page.getByRole('tab', { name: 'Import', exact: true }).click();
            await page.getByText('not understood: line 4 of netstat: tcp what is this').waitFor();
        });
    });
});

describe('addresses', () => {
    test('a shared scenario is reopened with its kernel and seed', async () => {
        let address = '';
        const text = readFileSync(join(root, REPORT), 'utf8').replace('about: ', 'about: Grüße 🙂 ');
        await on({ permissions: ['clipboard-read', 'clipboard-write'] }, async (page) => {
            await write(page, text);
            await page.getByRole('slider', { name: 'Kernel' }).focus();
            await page.keyboard.press('End');
            await page.getByRole('spinbutton', { name: 'Seed' }).fill('7');
            await page.getByRole('button', { name: 'Share' }).click();
            await page.getByText('The address is copied').waitFor();
            address = await page.evaluate(() => navigator.clipboard.readText());
            assert.equal(address, page.url());
        });
        const { page, close } = await open(at.browser, address);
        await page.locator('.question', { hasText: 'Grüße 🙂' }).waitFor();
        assert.match(await page.locator('.control output').textContent(), /^linux-/);
        assert.equal(await page.getByRole('spinbutton', { name: 'Seed' }).inputValue(), '7');
        await close();
    });

    test('the corpus is searched, and each scenario has an address', async () => {
        await on({}, async (page) => {
            await page.getByRole('button', { name: 'Scenarios …' }).click();
            await page.getByRole('searchbox').fill('bind-over-time-wait');
            const before = await answers(page);
            await page.locator('.scenarios button').first().click();
            await answered(page, before + 1);
            assert.match(page.url(), /#corpus=/);
        });
    });

    test('the command prints the address of a scenario', async () => {
        const address = fourtuple('report', '--link', '--playground', at.address, '--kernel', 'rhel-6.5', REPORT);
        const { page, close } = await open(at.browser, address.trim());
        await page.locator('.sentence', { hasText: 'On rhel-6.5, 4 of 8 sockets' }).waitFor();
        await close();
    });

    test('each scenario of the guide opens in the page', async (t) => {
        const markdown = readFileSync(join(root, 'docs/cookbook.md'), 'utf8');
        const blocks = [...markdown.matchAll(/^```yaml\n(.*?)^```$/gms)].map(([, text]) => text);
        const scenarios = blocks.filter((text) => /^about:/m.test(text) && /^hosts:/m.test(text));
        const escape = (text) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
        const html = `<!doctype html><title>Cookbook</title><main>${blocks
            .map((text) => `<pre><code class="language-yaml">${escape(text)}</code></pre>`)
            .join('')}</main><script>const path_to_root = '';</script><script src="playground.js"></script>`;
        const context = await at.browser.newContext();
        const page = await context.newPage();
        const base = at.address.replace(/b\/$/, '');
        await page.route(`${base}cookbook.html`, (route) => route.fulfill({ contentType: 'text/html', body: html }));
        await page.route(`${base}playground.js`, (route) => route.fulfill({ path: join(root, 'docs/playground.js') }));
        await page.goto(`${base}cookbook.html`);
        await page.waitForFunction((count) => document.links.length === count, scenarios.length);
        const links = await page.evaluate(() => [...document.links].map((link) => link.href));
        const texts = links.map((link) => inflateRawSync(Buffer.from(new URL(link).hash.slice('#s='.length), 'base64url')).toString());
        assert.deepEqual(texts, scenarios);
        t.diagnostic(`${links.length} scenarios of the cookbook`);
        await page.getByRole('link').first().click();
        await page.locator('.question').waitFor();
        await context.close();
    });
});

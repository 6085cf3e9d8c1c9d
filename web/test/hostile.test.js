/** Input that is meant to do harm: the page stays alive, runs no script of it, and keeps its memory. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { deflateRawSync } from 'node:zlib';
import { answered, answers, open, site, write } from './support.js';

/** Most bytes of the page's own heap after everything. */
const MOST_HEAP = 150 * 1024 * 1024;

const MARKUP = `<img src=x onerror="window.harmed=1"><script>window.harmed=1</script>`;

const at = site();

async function alive(page) {
    assert.equal(await page.evaluate(() => window.harmed), undefined);
    await write(page, 'about: alive?\nhosts: { h: { listen: "127.0.0.1:80" } }\nprocesses: { p: { connect: "127.0.0.1:80" } }\n');
    await page.locator('.question', { hasText: 'alive?' }).waitFor();
}

const packed = (text) => `s=${deflateRawSync(text).toString('base64url')}`;

test('fragments', async () => {
    const fragments = [
        's=',
        's=%00',
        's=AAAA',
        `s=${'A'.repeat(150_000)}`,
        packed('x'.repeat(100_000_000)),
        packed(Buffer.from([0xff, 0xfe, 0x00])),
        packed(`about: ${MARKUP}\nhosts: {}\n`),
        `corpus=${encodeURIComponent(MARKUP)}`,
        'corpus=../../secret',
        `s=AAAA&kernel=${encodeURIComponent(MARKUP)}&seed=-1e999`,
    ];
    const { page, complaints, close } = await open(at.browser, at.address);
    for (const fragment of fragments) {
        await page.evaluate((hash) => (location.hash = hash), fragment);
        await page.waitForTimeout(100);
    }
    await alive(page);
    assert.deepEqual(complaints, []);
    await close();
    for (const fragment of fragments) {
        const { page, complaints, close } = await open(at.browser, `${at.address}#${fragment}`);
        assert.deepEqual(complaints, [], fragment.slice(0, 60));
        assert.equal(await page.evaluate(() => window.harmed), undefined);
        await close();
    }
});

test('scenarios', async () => {
    const { page, complaints, close } = await open(at.browser, at.address);
    const name = `"${MARKUP.replaceAll('"', '\\"')}"`;
    const texts = [
        MARKUP,
        `about: ${name}\nsource: ["javascript:alert(1)", ${name}]\nhosts: { h: { listen: "127.0.0.1:80" } }\nprocesses: { p: { connect: "127.0.0.1:80" } }\n`,
        `about: x\nhosts: { ${name}: {} }\n`,
        '\u0000\u001b[31m\u202e',
        'a: &a [x, x]\nb: &b [*a, *a, *a]\nc: [*b, *b, *b]\n',
        `about: ${'['.repeat(20_000)}`,
        `about: ${'x'.repeat(400_000)}`,
        'about: x\nhosts: { h: { listen: "127.0.0.1:80" } }\nprocesses: { p: { count: 60000, connections: 60000, connect: "127.0.0.1:80" } }\n',
    ];
    for (const text of texts) {
        await write(page, text);
    }
    await alive(page);
    assert.deepEqual(complaints, []);
    const session = await page.context().newCDPSession(page);
    await session.send('HeapProfiler.collectGarbage');
    await session.send('Performance.enable');
    const { metrics } = await session.send('Performance.getMetrics');
    const heap = metrics.find((one) => one.name === 'JSHeapUsedSize').value;
    assert.ok(heap < MOST_HEAP, `${heap} bytes`);
    await close();
});

test('pasted text', async () => {
    const { page, complaints, close } = await open(at.browser, at.address);
    const texts = [MARKUP, '\u0000'.repeat(1000), 'x '.repeat(200_000), `ESTAB 0 0 ${MARKUP}:1 ${MARKUP}:2`];
    for (const text of texts) {
        await page.getByRole('tab', { name: 'Import', exact: true }).click();
        await page.getByRole('textbox', { name: /^Output of ss/ }).fill(text);
        await page.getByRole('button', { name: 'Make a scenario of it' }).click();
        await page.locator('.import .status:not(:empty)').waitFor();
    }
    await page.getByRole('tab', { name: 'Scenario', exact: true }).click();
    await alive(page);
    assert.deepEqual(complaints, []);
    await close();
});

test('scripts that are injected into the page do not run', async () => {
    const { page, close } = await open(at.browser, at.address);
    const blocked = await page.evaluate(async () => {
        const violations = [];
        document.addEventListener('securitypolicyviolation', (event) => violations.push(event.effectiveDirective));
        const script = document.createElement('script');
        try {
            script.textContent = 'window.harmed = 1';
            document.body.append(script);
        } catch {
            violations.push('require-trusted-types-for');
        }
        try {
            document.body.innerHTML = '<img src=x onerror="window.harmed=1">';
        } catch {
            violations.push('require-trusted-types-for');
        }
        await fetch('https://example.org/').catch(() => undefined);
        await new Promise((resolve) => setTimeout(resolve, 200));
        return violations;
    });
    assert.ok(blocked.includes('require-trusted-types-for'), String(blocked));
    assert.ok(blocked.includes('connect-src'), String(blocked));
    assert.equal(await page.evaluate(() => window.harmed), undefined);
    await close();
});

test('a long run is announced, can be started and cancelled', async () => {
    const { page, close } = await open(at.browser, at.address);
    const many = 'about: long\nkernel: linux-6.18\nhosts: { h: { listen: "127.0.0.1:80" } }\nprocesses: { p: { count: 20000, connections: 20, hold: 1ms, connect: "127.0.0.1:80" } }\n';
    await write(page, many);
    await page.locator('.sentence', { hasText: 'may take' }).waitFor();
    await page.getByRole('button', { name: 'Run it' }).click();
    await page.getByRole('button', { name: 'Cancel' }).click();
    await page.getByText('Cancelled').waitFor();
    const before = await answers(page);
    await alive(page);
    await answered(page, before + 1);
    await close();
});

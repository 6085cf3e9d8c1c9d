/** The page without a mouse, without sight, on a phone, and on paper. */

import assert from 'node:assert/strict';
import { mkdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import { answered, open, root, show, site, write } from './support.js';

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
/** Where screenshots go, if they are wanted. */
const shots = process.env.PLAYGROUND_SHOTS;
const PHONE = { width: 390, height: 844 };
const TABS = ['Results', 'Ports and steps', 'Kernels', 'Fixes', 'Capacity', 'Text'];

const at = site();
before(() => {
    if (shots) {
        mkdirSync(shots, { recursive: true });
    }
});

/** Fails on a violation of a rule of axe. */
async function accessible(page, where) {
    // Running in the page's own world, the rules see what assistive technology does.
    await page.evaluate(axe);
    const violations = await page.evaluate(async () => {
        const { violations } = await globalThis.axe.run(document, { resultTypes: ['violations'] });
        return violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.target.join(' ')).join(', ')}`);
    });
    assert.deepEqual(violations, [], where);
}

async function shot(page, name) {
    if (shots) {
        await page.screenshot({ path: join(shots, `${name}.png`), fullPage: true });
    }
}

async function narrow(page, where) {
    const [width, inner] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
    assert.ok(width <= inner, `${where} is ${width} px wide`);
}

for (const colorScheme of ['light', 'dark']) {
    for (const [size, viewport] of Object.entries({ desktop: { width: 1360, height: 860 }, phone: PHONE })) {
        test(`axe finds nothing in ${colorScheme} on a ${size}`, async () => {
            const options = { colorScheme, viewport, reducedMotion: 'reduce' };
            const { page, close } = await open(at.browser, at.address, options);
            const name = `${size}-${colorScheme}`;
            for (const tab of TABS) {
                await show(page, tab);
                await accessible(page, `${name} ${tab}`);
                await narrow(page, tab);
                await shot(page, `${name}-${tab.toLowerCase().replaceAll(' ', '-')}`);
            }
            await page.getByRole('tab', { name: 'Import', exact: true }).click();
            await accessible(page, `${name} import`);
            await shot(page, `${name}-import`);
            await page.getByRole('tab', { name: 'Scenario', exact: true }).click();
            await show(page, 'Fixes');
            await page.getByRole('button', { name: /^Apply: / }).first().click();
            await accessible(page, `${name} edit`);
            await shot(page, `${name}-edit`);
            await page.keyboard.press('Escape');
            await page.getByRole('button', { name: 'Scenarios …' }).click();
            await accessible(page, `${name} corpus`);
            await shot(page, `${name}-corpus`);
            await page.keyboard.press('Escape');
            await write(page, readFileSync(join(root, 'scenarios/rhel-6.5/connect-after-bind.yaml'), 'utf8').replace('count:', 'cuont:'));
            await page.locator('.problems li').first().waitFor();
            await accessible(page, `${name} problems`);
            await shot(page, `${name}-problems`);
            await close();
        });
    }
}

describe('keyboard', () => {
    test('everything is reached in order, and the editor is no trap', async () => {
        const { page, close } = await open(at.browser, at.address);
        const names = [];
        for (let n = 0; n < 40; n += 1) {
            await page.keyboard.press('Tab');
            const name = await page.evaluate(() => {
                let element = document.activeElement;
                while (element?.shadowRoot?.activeElement) {
                    element = element.shadowRoot.activeElement;
                }
                if (element === document.body) {
                    return '';
                }
                return element.getAttribute('aria-label') ?? element.labels?.[0]?.textContent ?? element.textContent.slice(0, 40);
            });
            if (name === '') {
                break;
            }
            names.push(name);
        }
        const wanted = ['Skip to the answer', 'Scenarios …', 'Share', 'Scenario', 'Scenario in YAML', 'Kernel', 'Seed', 'Roll a seed', 'Results'];
        const places = wanted.map((name) => names.indexOf(name));
        assert.ok(places.every((place) => place >= 0), names.join(' | '));
        assert.deepEqual([...places].sort((a, b) => a - b), places, names.join(' | '));
        await close();
    });

    test('a fix is found, read, applied and undone without a mouse', async () => {
        const { page, close } = await open(at.browser, at.address);
        await page.getByRole('tab', { name: 'Results' }).focus();
        for (let n = 0; n < 3; n += 1) {
            await page.keyboard.press('ArrowRight');
        }
        assert.equal(await page.locator(':focus').textContent(), 'Fixes');
        const apply = page.getByRole('button', { name: /^Apply: / }).first();
        await apply.waitFor();
        await apply.focus();
        await page.keyboard.press('Enter');
        await page.getByRole('button', { name: 'Apply the fix' }).focus();
        const before = await page.evaluate(() => Number(document.body.dataset.answered));
        await page.keyboard.press('Enter');
        await answered(page, before + 1);
        await page.locator('.sentence', { hasText: 'get what they ask for' }).waitFor();
        await close();
    });

    test('steps are walked with the arrow keys of the slider', async () => {
        const { page, close } = await open(at.browser, at.address);
        await show(page, 'Ports and steps');
        const slider = page.getByRole('slider', { name: 'Step' });
        await slider.focus();
        await page.keyboard.press('Home');
        await page.keyboard.press('ArrowRight');
        assert.match(await slider.getAttribute('aria-valuetext'), /^after call 1 of/);
        await close();
    });
});

test('pictures have a text, and paper has no controls', async () => {
    const { page, close } = await open(at.browser, at.address);
    await show(page, 'Ports and steps');
    for (const picture of await page.locator('svg[role=img]').all()) {
        assert.match(await picture.getAttribute('aria-label'), /\w+ \w+/);
    }
    await page.emulateMedia({ media: 'print' });
    assert.equal(await page.locator('.controls').isVisible(), false);
    assert.equal(await page.locator('.sentence').isVisible(), true);
    await close();
});

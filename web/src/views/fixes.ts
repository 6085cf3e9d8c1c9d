/** The fixes that were tried, and the edit that each of them is. */

import { capital, h, table } from '../dom';
import type { Edit, Fixes, Remedy } from '../protocol';

type Case = Fixes['cases'][number];

const EFFECTS: Record<string, string> = {
    always: 'always works',
    usually: 'usually works',
    'by-luck': 'works by luck only',
    'helps-partly': 'helps partly',
    nothing: 'has no effect',
    harms: 'makes it worse',
    absent: 'does not exist on this kernel',
    untried: 'was not tried',
    'does-not-apply': 'does not apply here',
};

export function fixesView(fixes: Fixes, apply: (text: string) => void): Node[] {
    const needed = fixes.cases.filter((one) => one.before.refused > 0);
    if (needed.length === 0) {
        return [h('p', {}, 'Every socket gets its port: there is nothing to fix.')];
    }
    return needed.map((one, n) => {
        const title = [one.kernel, ...one.point].join(', ');
        const content = [h('p', {}, summary(one)), ...findings(one), ...tables(one, title, apply)];
        return needed.length === 1
            ? h('article', {}, h('h2', {}, title), ...content)
            : h('details', { open: n === 0 }, h('summary', {}, title), ...content);
    });
}

function summary(one: Case): string {
    const { refused, total } = one.before;
    const rule = one.rule === null ? '' : ` ${one.rule[1]}`;
    return `${refused} of ${total} sockets get no port.${rule} ${one.regression ?? ''}`.trim();
}

function findings(one: Case): Node[] {
    return (one.findings ?? []).map((finding) => h('p', {}, `${finding.text} ${finding.check}`));
}

function tables(one: Case, title: string, apply: (text: string) => void): Node[] {
    const rows = one.remedies.map((remedy, n) => ({ remedy, edit: one.edits[n] ?? null }));
    const works = rows.filter(({ remedy }) => ['always', 'usually'].includes(remedy.effect));
    const partly = rows.filter(({ remedy }) => ['by-luck', 'helps-partly'].includes(remedy.effect));
    const rest = rows.filter(
        (row) => !works.includes(row) && !partly.includes(row) && row.remedy.effect !== 'does-not-apply',
    );
    const found: Node[] = [];
    if (works.length === 0) {
        found.push(h('p', {}, 'No known fix works here, alone or in pairs.'));
    }
    if (works.length + partly.length > 0) {
        found.push(
            table(
                `Fixes, tried on ${title}`,
                ['fix', 'effect', 'who', 'since', 'cost', 'change'],
                [...works, ...partly].map(({ remedy, edit }) => [
                    [remedy.name, h('div', { class: 'quiet' }, remedy.change)],
                    h('span', { class: works.some((row) => row.remedy === remedy) ? 'ok' : '' }, effect(remedy)),
                    remedy.who.join(', '),
                    remedy.since,
                    [remedy.cost, remedy.stale !== undefined && h('div', { class: 'bad' }, remedy.stale)],
                    edit === null ? '' : applyButton(remedy, edit, apply),
                ]),
            ),
        );
    }
    if (rest.length > 0) {
        found.push(
            h(
                'details',
                {},
                h('summary', {}, 'No fix here'),
                h('ul', {}, ...rest.map(({ remedy }) => h('li', {}, unfit(remedy)))),
            ),
        );
    }
    return found;
}

function effect(remedy: Remedy): string {
    const word = EFFECTS[remedy.effect] ?? remedy.effect;
    const { seeds } = remedy;
    return seeds === undefined || remedy.effect === 'always'
        ? word
        : `${word} (${seeds.good} of ${seeds.of} seeds)`;
}

function unfit(remedy: Remedy): string {
    const parts = [effect(remedy), remedy.why, remedy.stale];
    return `${remedy.name}: ${parts.filter(Boolean).join('; ')}`;
}

function applyButton(remedy: Remedy, edit: Edit, apply: (text: string) => void): HTMLElement {
    return h(
        'button',
        {
            type: 'button',
            'aria-label': `Apply: ${remedy.name}`,
            click: () => confirmEdit(remedy, edit, apply),
        },
        'Apply …',
    );
}

/** Shows the edit as a diff before it is made. */
function confirmEdit(remedy: Remedy, edit: Edit, apply: (text: string) => void): void {
    const words = { '+': 'added', '-': 'removed', ' ': '', '@': '' };
    const close = () => dialog.close();
    const dialog = h(
        'dialog',
        { class: 'edit', 'aria-labelledby': 'edit-title', close: () => dialog.remove() },
        h('h2', { id: 'edit-title' }, capital(remedy.name)),
        h(
            'p',
            { class: 'quiet' },
            edit.keeps_layout
                ? 'Expectations of the old outcome are removed. Undo brings the old text back.'
                : 'This change has no place in the text, so the scenario is written anew, without its comments and at this point of the matrix. Undo brings the old text back.',
        ),
        h(
            'pre',
            { class: 'diff', tabindex: 0, 'aria-label': 'Changed lines' },
            ...edit.diff.map(([sign, line]) =>
                sign === '@'
                    ? h('span', { class: 'quiet' }, `… ${line}\n`)
                    : h(
                          'span',
                          { class: words[sign] },
                          words[sign] !== '' && h('span', { class: 'unseen' }, `${words[sign]}: `),
                          `${sign} ${line}\n`,
                      ),
            ),
        ),
        h(
            'div',
            { class: 'buttons' },
            h('button', { type: 'button', click: close }, 'Cancel'),
            h(
                'button',
                {
                    type: 'button',
                    class: 'primary',
                    click: () => {
                        close();
                        apply(edit.text);
                    },
                },
                'Apply the fix',
            ),
        ),
    );
    document.body.append(dialog);
    dialog.showModal();
}

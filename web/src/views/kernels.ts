/** Kernels as columns, and the behaviours between them. */

import { h, table } from '../dom';
import type { Compared } from '../protocol';

export function kernelsView(compared: Compared): Node[] {
    const { answers, histories } = compared;
    if (answers.length < 2) {
        return [h('p', {}, 'All kernels give the same answers; the port numbers may differ.')];
    }
    const keys = [
        ...new Set(answers.flatMap((one) => one.results.map((row) => `${row.process} ${row.call}`))),
    ];
    const cell = (answer: (typeof answers)[number], key: string) => {
        const row = answer.results.find((one) => `${one.process} ${one.call}` === key);
        return (row?.answers ?? []).flatMap(([result, count], n) => [
            n > 0 && ', ',
            h('span', { class: result === 'ok' ? 'ok' : 'refused' }, `${count} × ${result}`),
        ]);
    };
    return [
        ...histories.map(history),
        table(
            'Results by kernel',
            ['call', ...answers.map((answer, n) => `${n + 1}. ${answer.title}`)],
            keys.map((key) => [key, ...answers.map((answer) => cell(answer, key))]),
        ),
    ];
}

function history(one: Compared['histories'][number]): HTMLElement {
    const first = one.stretches[1]?.first ?? '';
    const where = one.point === '' ? '' : ` (with ${one.point})`;
    return h(
        'article',
        {},
        h('p', {}, h('strong', {}, `First change: ${first}${where}.`), ' In the order of release:'),
        h(
            'ol',
            { class: 'stretches' },
            ...one.stretches.map((stretch, n) => {
                const { first, last, answer } = stretch;
                const kernels = first === last ? first : `${first} to ${last}`;
                const change = n === 0 ? undefined : one.changes[n - 1];
                return h(
                    'li',
                    {},
                    h('strong', {}, kernels),
                    answer === null ? ': as no kernel of the table' : `: as in column ${answer + 1}`,
                    change !== undefined && made(change),
                );
            }),
        ),
    );
}

function made(change: Compared['histories'][number]['changes'][number]): HTMLElement {
    return h(
        'div',
        { class: 'made' },
        change.alone ? 'Made by:' : 'No single behaviour makes the difference; they differ in:',
        h(
            'ul',
            {},
            ...change.behaviours.map(([name, text]) => h('li', {}, h('code', {}, name), ' ', text)),
        ),
    );
}

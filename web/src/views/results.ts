/** The verdict on a scenario, the results of each process, and why calls were refused. */

import { capital, h, scrolled, table } from '../dom';
import type { Answer, Ran } from '../protocol';

const VERDICTS: Record<Ran['verdict'], [string, string]> = {
    failed: ['not as expected', 'bad'],
    'as-expected': ['as expected', 'good'],
    incomplete: ['not run in full', ''],
    'nothing-expected': ['nothing expected', ''],
};

/** The verdict in a sentence. */
export function verdict(ran: Ran): Node[] {
    const [word, tone] = VERDICTS[ran.verdict];
    return [
        h('p', { class: 'question' }, ran.about),
        h('p', { class: 'sentence' }, ran.sentence),
        h('p', { class: 'facts' }, h('span', { class: `badge ${tone}` }, word), ' ', ran.checked),
        ...list('Not as expected', ran.unmet, 'bad'),
        ...list('Not run', ran.not_run, 'bad'),
        ...list('Notes', ran.notes, ''),
        ...list('Source', ran.source, 'quiet'),
    ];
}

/** The answers, kernels with the same one together. */
export function results(ran: Ran): Node[] {
    return ran.answers.map((answer) => group(answer, ran.answers.length > 1));
}

function group(answer: Answer, isOneOfSeveral: boolean): HTMLElement {
    return h(
        'article',
        {},
        h('h2', {}, answer.title),
        isOneOfSeveral && h('p', {}, `${capital(answer.sentence)}.`),
        counts(answer),
        ...reasons(answer),
        h(
            'details',
            {},
            h('summary', {}, 'Every call, in order'),
            scrolled('Every call, in order', h('pre', {}, answer.calls)),
        ),
    );
}

function reasons(answer: Answer): Node[] {
    if (answer.reasons.length === 0) {
        return [];
    }
    const row = (reason: Answer['reasons'][number]) =>
        h(
            'li',
            {},
            h('strong', {}, `${capital(reason.plain)}.`),
            ` ${reason.text} `,
            reason.ports !== '' && `${capital(reason.ports)}. `,
            h('code', {}, reason.rule),
            h('div', { class: 'path' }, reason.path.join(' → ')),
        );
    return [
        h('h3', {}, 'Why calls were refused'),
        h('ul', { class: 'reasons' }, ...answer.reasons.map(row)),
    ];
}

/** A table of processes and calls. */
function counts(answer: Answer): HTMLElement {
    return table(
        'Results of each process',
        ['process', 'call', 'results'],
        answer.results.map((row) => [
            row.process,
            row.call,
            row.answers.flatMap(([result, count], n) => [
                n > 0 && ', ',
                h('span', { class: result === 'ok' ? 'ok' : 'refused' }, `${count} × ${result}`),
            ]),
        ]),
    );
}

function list(title: string, lines: readonly string[], tone: string): Node[] {
    if (lines.length === 0) {
        return [];
    }
    return [
        h(
            'div',
            { class: `lines ${tone}` },
            h('h2', {}, title),
            h('ul', {}, ...lines.map((line) => h('li', {}, line))),
        ),
    ];
}

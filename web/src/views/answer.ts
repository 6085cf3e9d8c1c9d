/** The answers to a scenario: the verdict, and a tab for each question about it. */

import type { Client } from '../client';
import { h } from '../dom';
import type { Asked, Ran, Reply } from '../protocol';
import { tabs } from '../tabs';
import { capacityView } from './capacity';
import { type Deferred, deferred, failure, long } from './deferred';
import { fixesView } from './fixes';
import { kernelsView } from './kernels';
import { results, verdict } from './results';
import { stepView } from './steps';

export interface Hooks {
    /** The scenario with the overrides of the page. */
    asked(): Asked;
    /** A fix was chosen, which makes this of the scenario. */
    apply(text: string): void;
    /** Long work is wanted. */
    runAnyway(): void;
}

export interface AnswerView {
    nodes: Node[];
    /** Shows the outcome of a run, and computes the visible tab anew. */
    show(reply: Reply<Ran>): void;
}

export function answerView(client: Client, hooks: Hooks): AnswerView {
    const heading = h('section', { class: 'verdict', 'aria-label': 'Verdict' });
    const outcome = h('section', { class: 'panel' });
    const cases = h('div', { class: 'cases' });
    let ran: Ran | null = null;
    let point = 0;

    // Other questions than the outcome make sense once the scenario runs.
    const asked = () => (ran === null ? null : hooks.asked());
    const steps = deferred({
        client,
        verb: 'steps',
        what: 'the steps',
        asked: () => (ran === null ? null : { ...hooks.asked(), point }),
        render: (answer) => [cases, ...stepView(answer)],
    });
    const kernels = deferred({
        client,
        verb: 'compare',
        what: 'all kernels',
        asked: () => (ran === null ? null : { ...hooks.asked(), kernel: ['all'] }),
        render: kernelsView,
    });
    const fixes = deferred({
        client,
        verb: 'fixes',
        what: 'the fixes',
        asked,
        render: (answer) => fixesView(answer, hooks.apply),
    });
    const capacity = deferred({
        client,
        verb: 'capacity',
        what: 'the capacities',
        asked,
        render: capacityView,
    });
    const text = deferred({
        client,
        verb: 'explain',
        what: 'the explanation',
        asked,
        render: (explained) => [
            ...printed('fourtuple run', ran?.text ?? ''),
            ...printed('fourtuple explain', explained),
        ],
    });
    const tab = (id: string, title: string, { panel, refresh }: Deferred) => ({
        id,
        title,
        panel,
        shown: refresh,
    });
    const all = tabs('Answers', [
        { id: 'results', title: 'Results', panel: outcome },
        tab('steps', 'Ports and steps', steps),
        tab('kernels', 'Kernels', kernels),
        tab('fixes', 'Fixes', fixes),
        tab('capacity', 'Capacity', capacity),
        tab('text', 'Text', text),
    ]);
    all.select('results');

    function show(reply: Reply<Ran>): void {
        ran = 'ok' in reply ? reply.ok : null;
        if ('ok' in reply) {
            point = reply.ok.answers[0]?.point ?? 0;
            cases.replaceChildren(...chooseCase(reply.ok, (chosen) => {
                point = chosen;
                steps.refresh();
            }));
            heading.replaceChildren(...verdict(reply.ok));
            outcome.replaceChildren(...results(reply.ok));
        } else if ('long' in reply) {
            const go = h('button', { type: 'button', click: hooks.runAnyway }, 'Run it');
            heading.replaceChildren(h('p', { class: 'sentence' }, long(reply.long), ' ', go));
            outcome.replaceChildren();
        } else {
            heading.replaceChildren(h('p', { class: 'sentence' }, problem(reply)));
            outcome.replaceChildren(...failure(reply));
        }
        for (const one of [steps, kernels, fixes, capacity, text]) {
            one.refresh();
        }
    }

    return { nodes: [heading, all.list, all.panels], show };
}

function problem(reply: Exclude<Reply<Ran>, { ok: Ran } | { long: unknown }>): string {
    if ('error' in reply) {
        return 'The model has no answer.';
    }
    const count = reply.invalid.problems.length;
    return count === 1 ? 'The scenario has an error.' : `The scenario has ${count} errors.`;
}

/** Text as a command prints it. */
function printed(command: string, text: string): Node[] {
    return [
        h('h2', {}, command),
        h('pre', { class: 'printed', tabindex: 0, role: 'group', 'aria-label': command }, text),
    ];
}

/** The answers whose steps can be shown, if there are several. */
function chooseCase(ran: Ran, chosen: (point: number) => void): Node[] {
    if (ran.answers.length < 2) {
        return [];
    }
    const choice = h(
        'select',
        { id: 'case', change: () => chosen(Number(choice.value)) },
        ...ran.answers.map((answer) => h('option', { value: answer.point }, answer.title)),
    );
    return [h('label', { for: 'case' }, 'Steps on '), choice];
}

/** The scenarios of the repository in a dialog, with search. */

import { h } from '../dom';

/** Scenarios that are listed at once. */
const SHOWN = 60;

type Corpus = typeof import('../corpus');
type Scenario = Corpus['corpus'][number];

export async function chooseScenario(chosen: (scenario: Scenario) => void): Promise<void> {
    // A part of its own: most visitors do not need all scenarios.
    const { corpus, search } = await import('../corpus');
    const list = h('ul', { class: 'scenarios' });
    const count = h('p', { class: 'quiet', role: 'status' });
    const box = h('input', {
        type: 'search',
        'aria-label': 'Search scenarios',
        placeholder: 'TIME-WAIT, EADDRINUSE, linux-4.2 …',
        input: () => show(),
    });
    const dialog = h(
        'dialog',
        { class: 'corpus', 'aria-labelledby': 'corpus-title', close: () => dialog.remove() },
        h('h2', { id: 'corpus-title' }, 'Scenarios'),
        box,
        count,
        list,
        h(
            'div',
            { class: 'buttons' },
            h('button', { type: 'button', click: () => dialog.close() }, 'Close'),
        ),
    );
    function show(): void {
        const found = search(box.value);
        count.textContent = `${found.length} of ${corpus.length} scenarios`;
        list.replaceChildren(...found.slice(0, SHOWN).map(row));
    }
    function row(scenario: Scenario): HTMLElement {
        const choose = () => {
            dialog.close();
            chosen(scenario);
        };
        return h(
            'li',
            {},
            h('button', { type: 'button', click: choose }, h('strong', {}, scenario.name), h('span', {}, scenario.about)),
        );
    }
    show();
    document.body.append(dialog);
    dialog.showModal();
}

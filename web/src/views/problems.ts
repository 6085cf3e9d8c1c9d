/** The problems of a scenario as a list below the editor, and as marks in it. */

import { h } from '../dom';
import { type Editor, explain } from '../editor';
import type { Problem } from '../protocol';

export interface Problems {
    element: HTMLElement;
    show(list: readonly Problem[]): void;
}

export function problemList(editor: Editor): Problems {
    const element = h('ul', { class: 'problems', 'aria-label': 'Problems of the scenario' });
    const row = (one: Problem) =>
        h(
            'li',
            { class: one.rule === null ? 'error' : 'warning' },
            h(
                'button',
                { type: 'button', click: () => editor.show(one.from) },
                h('span', { class: 'place' }, `${one.line}:${one.column}`),
                explain(one),
            ),
        );
    return {
        element,
        show: (list) => {
            editor.mark(list);
            element.replaceChildren(...list.map(row));
        },
    };
}

/** Tabs by the WAI-ARIA pattern: arrows move between them, one of them is in the tab order. */

import { h } from './dom';

export interface Tab {
    id: string;
    title: string;
    panel: HTMLElement;
    /** Called whenever the tab is shown. */
    shown?(): void;
}

export interface Tabs {
    list: HTMLElement;
    panels: HTMLElement;
    select(id: string, focus?: boolean): void;
    readonly selected: string;
}

export function tabs(label: string, all: readonly Tab[]): Tabs {
    let selected = all[0]?.id ?? '';
    const buttons = all.map((tab) =>
        h(
            'button',
            {
                type: 'button',
                role: 'tab',
                id: `tab-${tab.id}`,
                'aria-controls': `panel-${tab.id}`,
                click: () => select(tab.id),
            },
            tab.title,
        ),
    );
    const list = h('div', { class: 'tabs', role: 'tablist', 'aria-label': label }, ...buttons);
    const panels = h('div', { class: 'panels' });
    for (const tab of all) {
        tab.panel.id = `panel-${tab.id}`;
        tab.panel.setAttribute('role', 'tabpanel');
        tab.panel.setAttribute('aria-labelledby', `tab-${tab.id}`);
        panels.append(tab.panel);
    }
    list.addEventListener('keydown', (event) => {
        const at = all.findIndex((tab) => tab.id === selected);
        const to = target(event.key, at, all.length);
        const tab = to === null ? undefined : all[to];
        if (tab !== undefined) {
            event.preventDefault();
            select(tab.id, true);
        }
    });
    function select(id: string, focus = false): void {
        selected = id;
        all.forEach((tab, n) => {
            const button = buttons[n];
            const isSelected = tab.id === id;
            button?.setAttribute('aria-selected', String(isSelected));
            button?.setAttribute('tabindex', isSelected ? '0' : '-1');
            tab.panel.hidden = !isSelected;
            if (isSelected) {
                if (focus) {
                    button?.focus();
                }
                tab.shown?.();
            }
        });
    }
    return {
        list,
        panels,
        select,
        get selected() {
            return selected;
        },
    };
}

function target(key: string, at: number, count: number): number | null {
    switch (key) {
        case 'ArrowRight':
            return (at + 1) % count;
        case 'ArrowLeft':
            return (at + count - 1) % count;
        case 'Home':
            return 0;
        case 'End':
            return count - 1;
        default:
            return null;
    }
}

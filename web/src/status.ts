/** The line that reports what the page does, for eyes and screen readers. */

import { h } from './dom';

/** Time after which a message disappears. */
const SHOWN_MS = 6000;

export class Status {
    readonly element = h('div', { class: 'status', role: 'status' });
    private isWorking = false;
    private timer: ReturnType<typeof setTimeout> | undefined;

    /** Shows a message for a while. */
    announce(text: string): void {
        this.show(text);
        this.timer = setTimeout(() => this.clear(), SHOWN_MS);
    }

    /** Shows what is going on, with a way to end it. */
    working(text: string, cancel: () => void): void {
        this.show(
            `${text} `,
            h('progress', { 'aria-label': text }),
            ' ',
            h('button', { type: 'button', click: cancel }, 'Cancel'),
        );
        this.isWorking = true;
    }

    /** Ends the report of work; a message stays for its time. */
    settle(): void {
        if (this.isWorking) {
            this.clear();
        }
    }

    private clear(): void {
        this.show();
    }

    private show(...content: (Node | string)[]): void {
        clearTimeout(this.timer);
        this.isWorking = false;
        this.element.replaceChildren(...content);
    }
}

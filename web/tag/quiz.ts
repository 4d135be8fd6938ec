/* SPDX-License-Identifier: Apache-2.0
 *
 * quiz.ts - a quiz in the page: <div data-opmaat-quiz="KEY"></div> becomes a form. An answer is an event, so it goes
 * nowhere before there is consent. The shop's own style sheet says how it looks; without one it is a plain form.
 */
export interface Quiz {
    title: string;
    thanks: string;
    questions: { key: string; text: string; answers: { key: string; text: string }[] }[];
}

const add = (to: Element, name: string, text?: string) => {
    const e = document.createElement(name);
    if (text) e.textContent = text;
    return to.appendChild(e);
};

export function ask(box: Element, quiz: Quiz, answered: (question: string, answer: string) => void, done: () => void): void {
    box.textContent = "";
    const form = add(box, "form") as HTMLFormElement;
    form.className = "opmaat-quiz";
    add(form, "h2", quiz.title);
    for (const q of quiz.questions) {
        const set = add(form, "fieldset");
        add(set, "legend", q.text);
        for (const a of q.answers) {
            const label = add(set, "label");
            const input = add(label, "input") as HTMLInputElement;
            input.type = "radio";
            input.name = q.key;
            input.value = a.key;
            input.required = true;
            add(label, "span", a.text);
        }
    }
    add(form, "button", "OK");
    form.addEventListener("submit", (e) => {
        e.preventDefault();
        new FormData(form).forEach((answer, question) => answered(question, "" + answer));
        const thanks = add(box, "p", quiz.thanks || "✓");
        thanks.setAttribute("role", "status");
        form.remove();
        done();
    });
}

import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { htmlToText } from "./html-text.ts";

test("keeps the text, the lines and where links lead", () => {
  for (const [html, text] of [
    ["", ""],
    ["<p>a  \n b</p><p>c</p>", "a b\n\nc\n"],
    ["a<br>b<br/>c", "a\nb\nc\n"],
    ["<ul><li>a<li>b</ul>c", "- a\n- b\n\nc\n"],
    ["<table><tr><td>a<td>b<tr><td>c</table>", "a b\nc\n"],
    ["a<b>b</b>c", "abc\n"],
    ["<a href='https://x.example/?a=1&amp;b=2'>here</a>.", "here <https://x.example/?a=1&b=2>.\n"],
    ["<a class=x HREF = https://x.example/>here</a>", "here <https://x.example/>\n"],
    ['<a href="java\nscript:alert(1)">here</a>', "here\n"],
    [
      "&lt;b&gt; &amp;amp; &uuml;&Uuml; &#8364; &#x20ac; &#0; &#xd800; &nope; &toString; a&b",
      "<b> &amp; üÜ € € \ufffd \ufffd &nope; &toString; a&b\n",
    ],
    ["a<!-- <b> -- > -->b<!-- open", "ab\n"],
    ["a<script>if (a < b) '</p>'</script>b<STYLE>x{}</Style >c", "abc\n"],
    ["<head><title>t</title></head><body>a", "a\n"],
    ["a<script>open", "a\n"],
    ["1 < 2 <3 <= 4", "1 < 2 <3 <= 4\n"],
    ["a <b", "a <b\n"],
    ["<!DOCTYPE html><?xml?>a", "a\n"],
  ] as const) {
    assert.equal(htmlToText(html), text, html);
  }
});

test("hostile pages are scanned once for each kind of mark", (t) => {
  const { mock } = t.mock.method(String.prototype, "indexOf");
  for (const piece of ["<", "<a ", "<!--", "<!-- >", "<script>", "</script", "<a href='", '<a href="><', "&#", "<x>"]) {
    const html = piece.repeat(20_000);
    mock.resetCalls();
    htmlToText(html);
    let scanned = 0;
    for (const { arguments: args, result = -1 } of mock.calls) {
      scanned += (result < 0 ? html.length : result) - (args[1] ?? 0);
    }
    assert.ok(mock.callCount() > 0 && scanned <= 5 * html.length, `${piece}: ${scanned} for ${html.length}`);
  }
});

test("never throws, and leaves no tag that was complete", () => {
  const parts = fc.constantFrom(
    "<",
    ">",
    "</",
    "a",
    "script",
    "style",
    "!--",
    "-->",
    " href=",
    '"',
    "'",
    "&",
    "#x41;",
    "\n",
    "İ",
  );
  fc.assert(fc.property(fc.array(parts, { maxLength: 60 }), (html) => htmlToText(html.join("")).length >= 0));
});

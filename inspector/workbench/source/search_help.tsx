// How is a search written? Examples to click, each with what it finds.
interface Props { onTry(query: string): void }

const EXAMPLES = [
  ["relu", "words in names, operators and layers"], ["op=Conv", "one operator"], ["op=Conv & params>1e5", "both must hold"], ["name~^features/.*3x3", "a pattern in one field"],
  ["/layer\\.[0-3]/", "a pattern anywhere"], ["shape=1x64x55x55", "the shape of the output"], ["group>1", "an attribute's value"], ["family=activation", "a family of operators"],
] as const;

export function SearchHelp({ onTry }: Props) {
  return <div class="help"><ul>{EXAMPLES.map(([query, said]) => <li key={query}><button onClick={() => onTry(query)}><code>{query}</code></button> <small>{said}</small></li>)}</ul>
    <p>Fields: <code>op name scope class shape dtype value family params macs inputs outputs</code> and any attribute. Signs: <code>= != &lt; &gt; &lt;= &gt;= ~</code>. Enter or the arrow keys walk along what was found; Esc clears.</p></div>;
}

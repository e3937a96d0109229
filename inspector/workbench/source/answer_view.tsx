// What came out of a question? Its pictures, its files, and its text.
import { keep } from "./keep";
import { Picture } from "./picture";
import type { Live } from "./source";
import type { JobState } from "./types";

export function AnswerView({ answer, source }: { answer: JobState; source: Live }) {
  return <div class="answers">{answer.figures?.map(([figure, title, caption]) => <Picture key={answer.job + figure} source={source} path={`jobs/${answer.job}/figures/${figure}`} title={title || figure} caption={caption} />)}
    {answer.files?.map((file) => <button key={file.file} type="button" onClick={async () => keep(await source.blob("files/" + file.file), file.name)}>Save {file.name}</button>)}
    {answer.text && <pre>{answer.text}</pre>}</div>;
}

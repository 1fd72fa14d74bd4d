// The offer to act on all rows that a filter finds, in the place of those that are selected.

import { counted, type Count } from "./total";

interface Props {
  // The rows, such as `incidents`.
  nouns: string;
  matching: Count;
  isChosen: boolean;
  choose: (isChosen: boolean) => void;
}

export function AllMatching({ nouns, matching, isChosen, choose }: Props) {
  return (
    <button type="button" onClick={() => choose(!isChosen)}>
      {isChosen ? "Select only what is marked" : `Select all ${counted(matching)} ${nouns} that match`}
    </button>
  );
}

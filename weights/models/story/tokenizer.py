"""Trains the storyteller's tokenizer: SentencePiece BPE, 4,096 pieces, bytes for what is unknown.

    python3 tokenizer.py tokenizer.model [--megabytes 16]

The text is that of the grammar and of the conversations in their markup, so names and common words
are whole pieces. Needs the sentencepiece package (Debian: python3-sentencepiece). The result is
kept in git; training the model does not need this script.
"""

import argparse
import io

import chat
import grammar

MARKUP = "[INST] %s [/INST] %s "  # one turn, as in Llama 2


def texts(megabytes):
    """Texts to learn from: three parts of stories to one of conversations. They keep their line
    ends, so that paragraph breaks and the words after them become pieces too."""
    chooser, size, seed = grammar.Chooser(), 0, 0
    while size < megabytes * 1000000:
        if seed % 4:
            turns = [chooser.story("tokenizer/%d" % seed).text()]
        else:
            talk = chat.conversation(chooser, "tokenizer/%d" % seed)
            said = [message["content"] for message in talk.messages]
            turns = [MARKUP % pair for pair in zip(said[0::2], said[1::2])]
        for text in turns:
            size += len(text)
            yield text
        seed += 1


def train(output, megabytes, pieces=4096):
    """Writes the SentencePiece model to that file."""
    import sentencepiece

    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=texts(megabytes), model_writer=model, vocab_size=pieces,
        model_type="bpe", byte_fallback=True, split_digits=True, character_coverage=1.0,
        normalization_rule_name="identity", remove_extra_whitespaces=False,
        allow_whitespace_only_pieces=True, add_dummy_prefix=True, unk_id=0, bos_id=1, eos_id=2,
        pad_id=-1, num_threads=1, max_sentence_length=100000, input_sentence_size=0)
    with open(output, "wb") as file:
        file.write(model.getvalue())


def main():
    parser = argparse.ArgumentParser(description="Trains the storyteller's tokenizer.")
    parser.add_argument("output")
    parser.add_argument("--megabytes", type=float, default=16)
    arguments = parser.parse_args()
    train(arguments.output, arguments.megabytes)


if __name__ == "__main__":
    main()

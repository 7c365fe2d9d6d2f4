#!/usr/bin/env python3
"""Makes tests/data/convert-tokenizers: one small tokenizer.json of every kind, and the ids that the `tokenizers`
package gives a collection of hard texts.

Each NAME has NAME/tokenizer.json (and tokenizer_config.json; tokenizer.model where SentencePiece made it) and
NAME/expected.json with "plain" (special tokens in the text recognized, none added) and "added" (as the post-processor
adds them) ids, one list a text of texts.json. The vocabularies are trained on tests/data/evaluation/readmes.txt; the
pre-tokenizers are those of the models that give them their names. To make them anew:

    python3 -m venv venv
    venv/bin/pip install tokenizers==0.22.2 transformers==4.57.1 sentencepiece==0.2.3 protobuf
    venv/bin/python tests/conformance/make_convert_tokenizers.py tests/data/convert-tokenizers

`... tests/data/convert-minilm-ids.json --real tokenizer.json` writes the ids that a published tokenizer gives the texts.
"""

import json
import pathlib
import sys

import sentencepiece
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

HERE = pathlib.Path(__file__).resolve().parent
CORPUS = HERE.parent / "data/evaluation/readmes.txt"
SIZE = 420

TEXTS = [
    "", " ", "  ", "   ", "\t", "\n", "\n\n", "\r\n", " \n", "\n ", "\t\n \r",
    "Hello", " Hello", "  Hello", "Hello world", " Hello world!", "Hello, y'all! How are you 😁 ?",
    "I'm I'M i've I'LL we'd they're don't DON'T 's 'S", "ALLCAPS camelCase snake_case kebab-case x86_64",
    "3", "33", "333", "3333", "33333", "333333", "3.14159e-10", "1,234,567.89", "٣٤٥", "½ ² Ⅷ ④",
    "for (int i = 0; i < 10; ++i) {\n    printf(\"%d\\n\", i);\n}", "def f(x):\n\treturn x**2  # square\n",
    "<html>&nbsp;</html>", "http://www.example.com/a?b=c&d=%20#e", "C:\\Users\\name", "a/b//c", "!!!??? ... --- ===",
    "über naïve café Ångström", "Ελληνικά", "нещо на Български", "កាន់តែពិសេសអាចខលចេញ", "हिन्दी में", "ไม่มีอะไร",
    "我想在apple工作1314151天～", "日本語のテキスト、カタカナ。", "한국어 텍스트", "العربية نص", "עברית",
    "🚀 (normal) 😶‍🌫️ (multiple emojis concatenated) ✅", "👩‍👩‍👧‍👦 👍🏽 🇩🇪", "a\u00a0b\u2003c\u200bd\ufeffe",
    "\u0001\u007f\u0085\u2028\u2029", "\ufffd", "𝒳𝓎 𠀀𠀁", "naïve".replace("ï", "i\u0308"),
    "x" * 60, "ab " * 20, " " * 33 + "end", "\n" * 9 + "end", "=" * 70,
    "<s>", "<|user|> hi <|end|>", "<|user|>hi<|end|>\n<|user|>", "<tool>x</tool>", "a<tool>b", "<pad>", "[CLS] a [SEP]",
    "▁ ▁▁ a▁b", "the quick brown fox jumps over the lazy dog. The Quick Brown Fox",
    "Build it with `cmake --preset release` (or: dev, asan, tsan).", "\"quoted\" 'single' “curly” «guillemets»",
]

CONTRACTIONS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
TAIL = r"\s*[\r\n]+|\s+(?!\S)|\s+"
CASED = (r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+%s"
         r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*%s")
PATTERNS = {
    "llama3": [CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|" + TAIL],
    "qwen2": [CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|" + TAIL],
    "gpt-4o": [CASED % (CONTRACTIONS + "?", CONTRACTIONS + "?") + r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|" + TAIL],
    "deepseek-v3": [r"\p{N}{1,3}", "[一-龥\u3040-ゟ゠-ヿ]+",
                    "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+"
                    "| ?[\\p{P}\\p{S}]+[\r\n]*|\\s*[\r\n]+|\\s+(?!\\S)|\\s+"],
}
SPECIAL = ["<pad>", "<s>", "</s>", "<|user|>", "<|end|>"]


def corpus():
    return CORPUS.read_text().splitlines(keepends=True)


def byte_level(name):
    tokenizer = Tokenizer(models.BPE(ignore_merges=name == "llama3"))
    last = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=name in ("gpt2", "smollm"))
    first = [pre_tokenizers.Digits(individual_digits=True)] if name == "smollm" else []
    first += [pre_tokenizers.Split(Regex(p), "isolated") for p in PATTERNS.get(name, [])]
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([*first, last]) if first else last
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(corpus(), trainers.BpeTrainer(
        vocab_size=SIZE, special_tokens=SPECIAL, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False))
    tokenizer.add_tokens([AddedToken("<tool>", normalized=False), AddedToken("</tool>", normalized=False)])
    if name == "llama3":
        tokenizer.post_processor = processors.TemplateProcessing("<s> $A", special_tokens=[("<s>", 1)])
    elif name == "gpt-4o":
        tokenizer.post_processor = processors.TemplateProcessing("<s> $A </s>", special_tokens=[("<s>", 1), ("</s>", 2)])
    else:
        tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    return tokenizer, dict(bos_token="<s>", eos_token="</s>", pad_token="<pad>")


def train_sentencepiece(folder, kind):
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(corpus()), model_prefix=str(folder / "m"), model_type=kind, vocab_size=SIZE,
        byte_fallback=kind == "bpe", normalization_rule_name="identity", remove_extra_whitespaces=False,
        character_coverage=1.0, add_dummy_prefix=True, minloglevel=2, split_digits=True,
        max_sentence_length=100000, hard_vocab_limit=False)
    (folder / "m.vocab").unlink()
    path = folder / "tokenizer.model"
    (folder / "m.model").rename(path)
    return path


def llama(folder, prefix):
    """SentencePiece's BPE as transformers rewrites it for tokenizer.json: every split of a piece is a merge."""
    model = sentencepiece.SentencePieceProcessor(str(train_sentencepiece(folder, "bpe")))
    if not prefix:
        (folder / "tokenizer.model").unlink()
    pieces = [(model.id_to_piece(i), model.get_score(i)) for i in range(model.get_piece_size())]
    vocab = {piece: i for i, (piece, _) in enumerate(pieces)}
    merges = []
    for piece, score in pieces:
        ways = [(piece[:i], piece[i:], score) for i in range(1, len(piece)) if piece[:i] in vocab and piece[i:] in vocab]
        merges += sorted(ways, key=lambda way: (vocab[way[0]], vocab[way[1]]))
    merges = [(a, b) for a, b, _ in sorted(merges, key=lambda way: way[2], reverse=True)]
    tokenizer = Tokenizer(models.BPE(vocab, merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    replace = normalizers.Replace(" ", "▁")
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), replace]) if prefix else replace
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    tokenizer.add_special_tokens([AddedToken(x, normalized=False) for x in ("<unk>", "<s>", "</s>")])
    tokenizer.add_special_tokens([AddedToken(x, normalized=False) for x in ("<|user|>", "<|end|>")])
    tokenizer.add_tokens([AddedToken("<tool>", normalized=False), AddedToken("</tool>", normalized=False)])
    tokenizer.post_processor = processors.TemplateProcessing("<s> $A", special_tokens=[("<s>", vocab["<s>"])])
    return tokenizer, dict(bos_token="<s>", eos_token="</s>", unk_token="<unk>")


def unigram(folder):
    """SentencePiece's unigram model as transformers rewrites XLM-RoBERTa's."""
    model = sentencepiece.SentencePieceProcessor(str(train_sentencepiece(folder, "unigram")))
    (folder / "tokenizer.model").unlink()
    special = ["<s>", "<pad>", "</s>", "<unk>"]
    pieces = [(model.id_to_piece(i), model.get_score(i)) for i in range(3, model.get_piece_size())]
    tokenizer = Tokenizer(models.Unigram([(text, 0.0) for text in special] + pieces, unk_id=3))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Strip(left=False, right=True),
                                                 normalizers.Replace(Regex(" {2,}"), " ")])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always")
    tokenizer.add_special_tokens([AddedToken(x, normalized=False) for x in special])
    tokenizer.post_processor = processors.TemplateProcessing(
        "<s> $A </s>", "<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)])
    return tokenizer, dict(bos_token="<s>", eos_token="</s>", unk_token="<unk>", pad_token="<pad>", sep_token="</s>",
                           cls_token="<s>")


def bert(lowercase):
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]", max_input_chars_per_word=100))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=lowercase)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.train_from_iterator(corpus(), trainers.WordPieceTrainer(
        vocab_size=SIZE, special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"], show_progress=False))
    tokenizer.post_processor = processors.TemplateProcessing(
        "[CLS] $A [SEP]", "[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    return tokenizer, dict(unk_token="[UNK]", sep_token="[SEP]", pad_token="[PAD]", cls_token="[CLS]",
                           mask_token="[MASK]")


def ids_of(tokenizer):
    return {kind: [tokenizer.encode(text, add_special_tokens=kind == "added").ids for text in TEXTS]
            for kind in ("plain", "added")}


def main():
    target = pathlib.Path(sys.argv[1])
    if sys.argv[2:3] == ["--real"]:
        tokenizer = Tokenizer.from_file(sys.argv[3])
        tokenizer.no_truncation()
        tokenizer.no_padding()
        target.write_text(json.dumps(ids_of(tokenizer), separators=(",", ":")) + "\n")
        return
    target.mkdir(parents=True, exist_ok=True)
    (target / "texts.json").write_text(json.dumps(TEXTS, ensure_ascii=False, indent=0) + "\n")
    makers = {name: (lambda folder, name=name: byte_level(name))
              for name in ("gpt2", "smollm", "llama3", "qwen2", "gpt-4o", "deepseek-v3")}
    makers.update({"llama": lambda folder: llama(folder, True), "gemma": lambda folder: llama(folder, False),
                   "unigram": unigram,
                   "bert": lambda folder: bert(True), "bert-cased": lambda folder: bert(False)})
    for name, make in makers.items():
        folder = target / name
        folder.mkdir(exist_ok=True)
        tokenizer, config = make(folder)
        tokenizer.save(str(folder / "tokenizer.json"), pretty=False)
        (folder / "tokenizer_config.json").write_text(json.dumps(config) + "\n")
        (folder / "expected.json").write_text(json.dumps(ids_of(tokenizer), separators=(",", ":")) + "\n")
        print(name, tokenizer.get_vocab_size(), sum(p.stat().st_size for p in folder.iterdir()) // 1000, "kB")


if __name__ == "__main__":
    main()

// Markdown as plain data: what a message consists of, before anything is laid out. CommonMark and GitHub's
// tables, task lists and strike-through are parsed by md4c; this file's part is to cut a stream into chunks
// that never change again.
#pragma once

#include <QString>
#include <QStringList>
#include <vector>

namespace quern::ui {

struct Span {
  QString text;
  bool bold = false;
  bool italic = false;
  bool code = false;
  bool strike = false;
  bool math = false;
  QString link;  ///< empty: none
  bool operator==(const Span&) const = default;
};

using Cell = std::vector<Span>;

struct Block {
  enum class Kind { kParagraph, kHeading, kCode, kTable, kRule, kMath };
  Kind kind = Kind::kParagraph;
  int level = 0;   ///< of a heading, 1…6
  int indent = 0;  ///< depth of lists
  int quote = 0;   ///< depth of quotes
  QString marker;  ///< "•", "3.", "☐", "☑" in front of a list item's first block
  std::vector<Span> spans;
  QString language;  ///< of code, as written
  QString code;
  std::vector<std::vector<Cell>> rows;  ///< of a table; the first is its header
  std::vector<Qt::Alignment> alignments;
  bool operator==(const Block&) const = default;
};

/// Parses Markdown. Never fails: whatever is no Markdown is text. HTML is shown as text. Depth beyond
/// kDeepestNesting is flattened. A text made to take long (tables of more than 128 columns, link definitions
/// that multiply) is one paragraph, as written. A displayed formula is a block of its own. Not filtered: the
/// schemes of links. For the GUI's thread.
std::vector<Block> parseMarkdown(const QString& text);

inline constexpr int kDeepestNesting = 12;

/// Cuts text between blocks of the top level, so that every chunk can be parsed alone and all but the last
/// stay as they are when text is added at the end. Joined they are the text, and their blocks are those of
/// the whole, with one exception that CommonMark makes: a link whose definition ([a]: …) is in another chunk
/// stays text.
std::vector<QStringView> splitChunks(QStringView text);

}  // namespace quern::ui

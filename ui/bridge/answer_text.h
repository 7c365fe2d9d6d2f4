// What is said about an answer and read out of it: thoughts, titles, footers, prompts with attachments.
#pragma once

#include <QString>
#include <QStringList>
#include <string>
#include <string_view>
#include <vector>

#include "engine/scheduler/engine.h"

namespace quern::ui {

struct Attachment {
  QString name;
  QString text;
};

/// A run of an answer: a thought ("<think>…</think>") or text.
struct AnswerPart {
  bool thought = false;
  bool open = false;  ///< a thought whose end has not come (yet)
  QString text;
};

/// Splits `answer` into thoughts and text, in order; empty runs are left out. Tags inside fenced code are
/// text. An answer that has "</think>" without a beginning (some templates open the thought in the prompt)
/// begins with a thought.
std::vector<AnswerPart> splitThoughts(const QString& answer);
/// The answer without its thoughts, as it goes back into a prompt.
std::string withoutThoughts(std::string_view answer);

/// A title for a chat: the first line of the question that says something, without Markdown's marks, cut
/// between words at about 60 characters.
QString titleFromQuestion(const QString& question);

/// The question as the model sees it: every attachment in a fence of its own, longer than any fence within,
/// with its name; then the text.
std::string promptText(std::string_view question, const std::string& attachmentsJson);
std::string attachmentsToJson(const std::vector<Attachment>& attachments);  ///< empty for none
std::vector<Attachment> attachmentsFromJson(const std::string& json);       ///< broken JSON: none
QStringList attachmentNames(const std::string& json);

/// What is kept of an answer's run, as Message::statsJson.
struct AnswerStats {
  engine::scheduler::Usage usage;
  engine::scheduler::Timings timings;
  QString model;         ///< whose tokens were counted
  QString reason;        ///< "end of turn"; empty where it is not known
  QString error;         ///< sentence of a failed answer
  QString errorDetails;  ///< its technical chain, one line each
};
std::string statsToJson(const AnswerStats& stats);
AnswerStats statsFromJson(const std::string& json);  ///< broken JSON: all empty
QString reasonText(engine::scheduler::FinishReason reason);

/// "42.1 tok/s · 318 tokens · 0.41 s to first token · 71 % of bandwidth limit · stopped: end of turn"; parts
/// that are not known are left out.
QString footerText(const AnswerStats& stats);
/// What stands behind the footer, a line each: what of the prompt was known and why no more, how much was guessed
/// ahead, what waiting took. Empty where nothing is known.
QString footerDetails(const AnswerStats& stats);
QString detailsOf(const engine::base::Error& error);  ///< chain and code, one line each

}  // namespace quern::ui

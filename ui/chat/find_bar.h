// Find within the open chat (Ctrl+F): words, how many matches, next and previous.
#pragma once

#include "ui/widgets/surface.h"

namespace quern::ui {

class SearchField;
class TranscriptView;

class FindBar : public Surface {
  Q_OBJECT
 public:
  FindBar(Theme& theme, TranscriptView& view, QWidget* parent = nullptr);
  void open();
  void close();

 Q_SIGNALS:
  void closed();

 private:
  void search();

  Theme& theme_;
  TranscriptView& view_;
  SearchField* field_;
  Label* count_;
  Button* previous_;
  Button* next_;
};

}  // namespace quern::ui

// How many tokens the branch that is shown takes in a prompt, without tokenizing it all again and again.
#pragma once

#include <QHash>
#include <QObject>
#include <memory>
#include <vector>

#include "engine/scheduler/engine.h"
#include "engine/store/store.h"
#include "ui/bridge/worker.h"

namespace quern::ui {

/// UI thread only. Messages are counted once each, on the worker, in slices that let prompts pass.
class ContextCounter : public QObject {
  Q_OBJECT
 public:
  /// A message of the branch. `exactTotal` > 0: the engine's own count of the prompt and the answer up to
  /// here.
  struct Entry {
    engine::store::Id id = 0;
    qsizetype characters = 0;
    int exactTotal = 0;
  };

  ContextCounter(engine::store::Store& store, Worker& worker, QObject* parent = nullptr);
  ~ContextCounter() override;
  void setEngine(std::shared_ptr<engine::scheduler::Engine> engine);  ///< null: no model; forgets all counts
  void setBranch(std::vector<Entry> entries, const QString& systemPrompt);
  int used() const { return used_; }

 Q_SIGNALS:
  void changed();

 private:
  struct Count {
    qsizetype characters = 0;  ///< a message that grew since is counted again
    int tokens = 0;
  };
  struct Round;
  void update();
  void request(std::vector<engine::store::Id> ids);

  engine::store::Store& store_;
  Worker& worker_;
  std::weak_ptr<engine::scheduler::Engine> engine_;
  std::shared_ptr<Round> round_;  ///< results of another round are dropped
  std::vector<Entry> entries_;
  QString systemPrompt_;
  QHash<engine::store::Id, Count> counts_;
  bool counting_ = false;
  int used_ = 0;
};

}  // namespace quern::ui

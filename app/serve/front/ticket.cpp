#include "app/serve/front/ticket.h"

#include <algorithm>

namespace quern::app::serve::front {
namespace {

using Clock = std::chrono::steady_clock;

double millisecondsSince(Clock::time_point then) {
  return std::chrono::duration<double, std::milli>(Clock::now() - then).count();
}

/// What an endpoint says of a header goes before what the door would say.
void addMissing(std::vector<Header>& headers, const std::vector<Header>& more) {
  for (const Header& header : more) {
    const bool isThere = std::any_of(headers.begin(), headers.end(),
                                     [&](const Header& other) { return other.name == header.name; });
    if (!isThere) headers.push_back(header);
  }
}

}  // namespace

FrontDoor::Watched::Watched(std::shared_ptr<FrontDoor> door, std::unique_ptr<Ticket> ticket,
                            std::shared_ptr<Responder> inner)
    : door_(std::move(door)), inner_(std::move(inner)), ticket_(std::move(ticket)) {}

FrontDoor::Watched::~Watched() { settle(isThere_ ? "failed" : "gone"); }

void FrontDoor::Watched::settle(const char* outcome) {
  std::unique_ptr<Ticket> ticket;
  {
    const std::lock_guard lock(mutex_);
    ticket = std::move(ticket_);
  }
  if (!ticket) return;
  AccessRecord& record = ticket->record;
  record.outcome = outcome;
  // As nginx writes it: the client closed the connection before there was an answer.
  if (record.status == 0) record.status = record.outcome == "gone" ? 499 : 500;
  record.elapsedMs = millisecondsSince(ticket->arrived);
  door_->rates_->charge(record.keyId,
                        record.facts.promptTokens - record.facts.cachedTokens + record.facts.completionTokens,
                        Clock::now());
  door_->finished(record);
}

void FrontDoor::Watched::keepContent(std::string_view bytes) {
  if (!door_->log_->hasContent()) return;
  std::string& answer = ticket_->record.answer;
  answer += bytes.substr(0, kContentBytes - std::min(kContentBytes, answer.size()));
}

void FrontDoor::Watched::reply(HttpResponse response) {
  {
    const std::lock_guard lock(mutex_);
    if (!ticket_) return;
    ticket_->record.status = response.status;
    ticket_->record.bytes = response.body.size();
    keepContent(response.body);
    addMissing(response.headers, ticket_->headers);
  }
  // Before the bytes go: who has the answer finds its place given back.
  settle("answered");
  inner_->reply(std::move(response));
}

void FrontDoor::Watched::begin(int status, std::vector<Header> headers) {
  {
    const std::lock_guard lock(mutex_);
    if (!ticket_) return;
    ticket_->record.status = status;
    addMissing(headers, ticket_->headers);
  }
  inner_->begin(status, std::move(headers));
}

bool FrontDoor::Watched::write(std::string bytes) {
  {
    const std::lock_guard lock(mutex_);
    if (!ticket_) return false;
    ticket_->record.bytes += bytes.size();
    keepContent(bytes);
  }
  const bool isThere = inner_->write(std::move(bytes));
  const std::lock_guard lock(mutex_);
  isThere_ = isThere;
  return isThere;
}

void FrontDoor::Watched::finish() {
  settle("answered");
  inner_->finish();
}

void FrontDoor::Watched::note(const RequestFacts& facts) {
  const std::lock_guard lock(mutex_);
  if (ticket_) ticket_->record.facts = facts;
}

}  // namespace quern::app::serve::front

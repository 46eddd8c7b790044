#pragma once

#include <condition_variable>
#include <filesystem>
#include <map>
#include <mutex>
#include <string>
#include <string_view>

#include "report/dashboard_files.h"
#include "report/dashboard_http.h"
#include "report/dashboard_series.h"
#include "report/dashboard_server.h"
#include "report/run_index.h"

namespace sgan {

// The web dashboard over a folder of runs. It serves its own page and, of the runs that RunIndex finds, files under
// fixed names; a request names a run by an id that is looked up in the index, so no path comes from outside.
// A request must name the server as its host (a page of another name that resolves to this machine is refused).
class Dashboard {
 public:
  // Listens on host:port (0: any free port) and reads the tree once. Throws UserError.
  Dashboard(const std::filesystem::path& root, const std::string& host, int port,
            DashboardServer::Limits limits = DashboardServer::Limits());

  int port() const { return server_.port(); }
  std::string url() const;
  // Serves, and looks at the tree again and again, at most a fifth of the time, until stop() is called by another
  // thread.
  void run();
  void stop();

  // The answer to one request; several threads may ask at once.
  HttpResponse answer(const HttpRequest& request);

 private:
  using Route = HttpResponse (Dashboard::*)(const HttpRequest&);
  static const std::map<std::string_view, Route>& routes();

  HttpResponse runs(const HttpRequest& request);
  HttpResponse metrics(const HttpRequest& request);
  HttpResponse curves(const HttpRequest& request);
  HttpResponse samples(const HttpRequest& request);
  HttpResponse image(const HttpRequest& request);
  HttpResponse lipschitz(const HttpRequest& request);
  HttpResponse configs(const HttpRequest& request);
  HttpResponse log(const HttpRequest& request);
  HttpResponse report(const HttpRequest& request);
  HttpResponse events(const HttpRequest& request);

  void watch();
  std::string folder_of(const std::string& id) const;

  std::string host_;
  std::string instance_;  // tells this server's versions from an earlier one's
  ContainedFolder files_;
  RunIndex index_;
  CurveReader curve_reader_;
  DashboardServer server_;

  std::mutex mutex_;
  std::condition_variable wakes_;
  bool stopped_ = false;
};

// Whether a request's Host header names a server that listens on `listening`: that name, this machine's loopback names,
// and, where it listens on all addresses, any address (names are what a rebinding attack needs) and the machine's name.
bool is_own_host(std::string_view host_header, const std::string& listening);

}  // namespace sgan

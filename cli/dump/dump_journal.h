// shima-dump journal DIR-or-FILE: segments and entries of a journal, and a summary of each group.
#pragma once

namespace CLI {
class App;
}

namespace shima {

// Adds the sub-command. Its exit code is 0, 1 if something cannot be read, 2 if rot was found.
void add_journal_command(CLI::App& app, int& exit_code);

}  // namespace shima

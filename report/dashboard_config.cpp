// To be deleted with its word in report/CMakeLists.txt: comparison/config_entries.h has what was here.

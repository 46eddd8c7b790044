#include "report/html.h"

#include <fmt/format.h>

#include "report/svg_chart.h"
#include "run/format.h"
#include "run/sha256.h"

namespace sgan {
namespace {

constexpr std::string_view kStyle = R"(
:root{color-scheme:light dark;--text:#1a1a1a;--soft:#595959;--back:#fff;--line:#d4d4d4;--box:#f5f5f4}
@media screen and (prefers-color-scheme:dark){:root{--text:#e6e6e6;--soft:#a8a8a8;--back:#151618;--line:#3a3c40;--box:#1f2124}}
*{box-sizing:border-box}
[hidden]{display:none!important}
html{-webkit-text-size-adjust:100%;text-size-adjust:100%}
body{margin:0 auto;max-width:1320px;padding:1.5rem clamp(1rem,3vw,2.5rem) 3rem;background:var(--back);color:var(--text);
font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif}
h1{font-size:1.55rem;line-height:1.25;margin:0 0 .5rem;overflow-wrap:anywhere}
h2{font-size:1.15rem;margin:2.4rem 0 .6rem;padding-top:.8rem;border-top:1px solid var(--line)}
h3{font-size:1rem;margin:1.4rem 0 .4rem}
p{margin:.4rem 0;max-width:76ch;overflow-wrap:anywhere}
.note,figcaption{color:var(--soft);font-size:.87rem;line-height:1.45}
.scroll{overflow-x:auto;max-width:100%}
table{border-collapse:collapse;font-variant-numeric:tabular-nums;margin:.6rem 0}
th,td{padding:.32rem .8rem;text-align:right;white-space:nowrap}
th:first-child,td:last-child,th:last-child{text-align:left}
.comparison{border-top:2px solid;border-bottom:2px solid}
.comparison thead th{border-bottom:1px solid;font-weight:600}
.comparison tr>:first-child{position:sticky;left:0;background:var(--back);max-width:16rem;overflow:hidden;
text-overflow:ellipsis;padding-left:0}
.comparison tbody th{font-weight:400}
@media(max-width:600px){.comparison th,.comparison td{padding-inline:.45rem}.comparison tr>:first-child{max-width:8.5rem}}
.facts th{font-weight:400;color:var(--soft);vertical-align:top}
.facts th,.facts td{text-align:left;white-space:normal;padding:.15rem 1.2rem .15rem 0}
.facts td{overflow-wrap:anywhere}
@media(max-width:600px){.facts th{overflow-wrap:anywhere;min-width:8rem}}
div.note p{max-width:120ch}
.tiles{display:grid;gap:1.2rem;grid-template-columns:repeat(auto-fill,minmax(min(100%,var(--tile)),1fr));margin:.8rem 0}
.grids{--tile:min(45%,14rem);align-items:end}
.charts{--tile:24rem;gap:1.6rem 1.8rem}
.charts.narrow{--tile:17rem;gap:1.2rem 1.4rem}
.charts .chart{max-width:34rem}
figure{margin:0;min-width:0}
.numbered{margin:1rem 0 1.6rem}
.numbered figcaption{max-width:90ch}
.numbered b{color:var(--text)}
.charts.wide{--tile:28rem}
.save{white-space:nowrap;color:inherit}
.abstract{font-size:1.05rem}
.contents{display:flex;flex-wrap:wrap;gap:.2rem 1.1rem;margin:.8rem 0;font-size:.92rem}
.contents a{color:inherit}
.findings{max-width:84ch;padding-left:1.2rem}
.findings li{margin:.3rem 0}
.alert{border:1px solid;border-left-width:6px;border-color:#b3261e;border-radius:4px;padding:.4rem .9rem;margin:1rem 0}
.alert ul{margin:.3rem 0;padding-left:1.2rem}
caption{caption-side:top;text-align:left;color:var(--soft);font-size:.87rem;line-height:1.45;padding-bottom:.4rem}
caption b{color:var(--text)}
caption div{position:sticky;left:0;width:max-content;max-width:min(100ch,100vw - 2rem)}
.data{font-size:.92rem}
.data th,.data td{padding-inline:.55rem}
.data caption{font-size:.87rem}
.data tr>:first-child{white-space:normal;overflow-wrap:break-word;text-overflow:clip;min-width:5.5rem}
.data th:last-child,.data td:last-child{text-align:right}
.data thead th{white-space:normal;vertical-align:bottom}
.data th.text,.data td.text{text-align:left;white-space:normal;min-width:6rem;max-width:34rem}
sub{line-height:0}
.sample-board{display:grid;grid-template-columns:minmax(0,max-content) 15rem;gap:1.5rem;align-items:start;margin:.6rem 0}
.sample-row{display:grid;grid-template-columns:8.5rem repeat(var(--seeds),minmax(0,15rem));column-gap:.9rem}
.sample-name{grid-row:1/span 9}
.sample-name h3{margin:0}
.sample-row figure{margin-bottom:1rem}
.sample-reals{position:sticky;top:3.5rem;display:grid;gap:1rem}
.sample-board figcaption{display:flex;flex-wrap:wrap;justify-content:space-between;gap:0 .8rem;margin-bottom:.25rem}
.sample-board figcaption span:first-child{color:var(--text)}
@media(max-width:800px){.sample-board{grid-template-columns:minmax(0,1fr)}
.sample-reals{position:static;order:-1;max-width:15rem}
.sample-row{grid-template-columns:repeat(var(--seeds),minmax(0,1fr))}.sample-name{grid-row:auto;grid-column:1/-1}}
.grids figcaption{display:flex;flex-wrap:wrap;justify-content:space-between;gap:0 .8rem;margin-bottom:.25rem;
overflow-wrap:anywhere}
.grids figcaption span:first-child{color:var(--text)}
.frames{aspect-ratio:1;background:var(--box);display:grid;place-items:center;color:var(--soft);font-size:.87rem}
.frames img{display:block;width:100%;height:100%;object-fit:contain;image-rendering:pixelated}
.slider{position:sticky;top:0;z-index:2;background:var(--back);padding:.5rem 0;display:flex;align-items:center;gap:.8rem;max-width:36rem}
.slider input{flex:1;min-width:0}
.slider output{min-width:7.5rem;font-variant-numeric:tabular-nums}
details{border:1px solid var(--line);border-radius:4px;margin:.5rem 0;padding:.4rem .8rem}
summary{cursor:pointer;overflow-wrap:anywhere}
pre{overflow-x:auto;background:var(--box);padding:.7rem;font-size:.82rem;line-height:1.4}
code{font-size:.87rem;overflow-wrap:anywhere;white-space:normal}
a:focus-visible,summary:focus-visible,input:focus-visible,select:focus-visible,[tabindex]:focus-visible{outline:2px solid
#2f8fc4;outline-offset:2px}
@media print{body{max-width:none;padding:0}.slider,.contents,.save{display:none}figure,tr{break-inside:avoid}
h2,h3{break-after:avoid}.scroll{overflow:visible}}
)";

// What the policy must say so that this script alone may run.
std::string script_source(std::string_view script) {
  if (script.empty()) return "'none'";
  Sha256 digest;
  digest.update(script);
  const std::string hex = digest.hex();
  std::string bytes;
  for (size_t i = 0; i < hex.size(); i += 2) bytes += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
  return fmt::format("'sha256-{}'", base64(bytes));
}

}  // namespace

std::string base64(std::string_view bytes) {
  constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  for (size_t i = 0; i < bytes.size(); i += 3) {
    const size_t count = std::min<size_t>(3, bytes.size() - i);
    uint32_t group = 0;
    for (size_t j = 0; j < 3; ++j) group = (group << 8) | (j < count ? static_cast<unsigned char>(bytes[i + j]) : 0u);
    for (size_t j = 0; j < 4; ++j) text += j <= count ? kAlphabet[(group >> (18 - 6 * j)) & 63] : '=';
  }
  return text;
}

std::string html_page(std::string_view title, std::string_view body, std::string_view script) {
  std::string html = fmt::format(
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src data:; "
      "style-src 'unsafe-inline'; script-src {3}; base-uri 'none'; form-action 'none'\">\n"
      "<link rel=\"icon\" href=\"data:,\">\n<title>{0}</title>\n<style>{1}{2}</style>\n</head>\n<body>\n<main>\n"
      "<h1>{0}</h1>\n",
      escape_html(title), kStyle, chart_style(), script_source(script));
  html += fmt::format("{}</main>\n", body);
  if (!script.empty()) html += fmt::format("<script>{}</script>\n", script);
  return html + "</body>\n</html>\n";
}

std::string html_table(const HtmlTable& table) {
  const auto mark = [&](size_t column) { return table.text.contains(column) ? " class=\"text\"" : ""; };
  std::string html = fmt::format(
      "<div class=\"scroll\" role=\"region\" aria-label=\"{}\" tabindex=\"0\">\n"
      "<table class=\"comparison data\">{}<thead><tr>",
      escape_html(table.name),
      table.caption.empty() ? "" : fmt::format("<caption><div>{}</div></caption>", table.caption));
  for (size_t i = 0; i < table.header.size(); ++i) {
    html += fmt::format("<th scope=\"col\"{}>{}</th>", mark(i), table.header[i]);
  }
  html += "</tr></thead><tbody>\n";
  for (const auto& row : table.rows) {
    html += fmt::format("<tr><th scope=\"row\">{}</th>", row.front());
    for (size_t i = 1; i < row.size(); ++i) html += fmt::format("<td{}>{}</td>", mark(i), row[i]);
    html += "</tr>\n";
  }
  return html + "</tbody></table></div>\n";
}

}  // namespace sgan

// What the theme leaves out for those who hear a page; and search without a server.
const named = () => {
  document.querySelectorAll("summary[aria-label]").forEach(o => o.removeAttribute("aria-label")) // its text is its name
  document.querySelectorAll("li > details > summary").forEach(o => { // the arrows of the side bar
    const link = o.closest("li").querySelector("a")
    if (link && !o.innerText.trim()) o.setAttribute("aria-label", `Pages below ${link.innerText.trim()}`)
  })
  document.querySelectorAll("dt.sig dl").forEach(o => { // parameters, one on each line: a list, where nothing is defined
    o.setAttribute("role", "list")
    o.querySelectorAll("dd").forEach(p => p.setAttribute("role", "listitem"))
  })
  document.querySelectorAll("button.search-button-field").forEach(o => o.removeAttribute("aria-label"))
}
if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", named)
else named()
// A browser reads no page from a file for the lines below a result.
if (location.protocol === "file:" && typeof DOCUMENTATION_OPTIONS !== "undefined")
  DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false

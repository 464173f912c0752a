// @ts-check
// Shows the page's times in the reader's own time zone, and lets a ticket be printed.

const long = new Intl.DateTimeFormat(undefined, {
  weekday: "short",
  day: "numeric",
  month: "short",
  year: "numeric",
  hour: "2-digit",
  minute: "2-digit",
});
const short = new Intl.DateTimeFormat(undefined, {
  day: "numeric",
  month: "short",
  hour: "2-digit",
  minute: "2-digit",
});

for (const element of document.querySelectorAll("time[data-time]")) {
  const moment = new Date(element.getAttribute("datetime") ?? "");
  if (!Number.isNaN(moment.getTime())) {
    element.textContent = (element.getAttribute("data-time") === "short" ? short : long).format(moment);
  }
}

for (const button of document.querySelectorAll("button[data-print]")) {
  button.removeAttribute("hidden");
  button.addEventListener("click", () => window.print());
}

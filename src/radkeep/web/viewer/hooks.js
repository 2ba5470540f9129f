// SPDX-License-Identifier: Apache-2.0
// The part of the configuration that is code: the same for everyone, appended to the values.
window.config.whiteLabeling = {
  createLogoComponentFn: React => React.createElement(
    'a',
    { href: '/studies', className: 'text-white hover:text-primary-light text-base font-semibold', 'aria-label': 'Back to the studies' },
    window.config.demo ? '\u2190 Radkeep DEMO' : '\u2190 Radkeep'
  ),
};
window.config.httpErrorHandler = error => {
  if (error && error.status === 401) {
    const here = window.location.pathname + window.location.search;
    window.location.assign('/sign-in?next=' + encodeURIComponent(here));
  }
};
